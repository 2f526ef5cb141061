"""What is refused before a training starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jdrl_lightning import UserError, backbones
from jdrl_lightning.training import fit
from jdrl_lightning.training.run import Run
from small import BACKBONES


def start(backbone: dict[str, Any], frozen: set[str], checkpoint: Path | None = None) -> None:
    schedule = SimpleNamespace(at=lambda epoch: SimpleNamespace(frozen=frozen if epoch == 0 else set()))
    module: Any = SimpleNamespace(objective=SimpleNamespace(schedule=schedule))
    fit._check_start(module, Run({"backbone": backbone}, Path(), Path(), checkpoint, ""))


def test_an_untrained_backbone_is_not_frozen() -> None:
    with pytest.raises(UserError, match=r"^the first stage freezes the backbone: set backbone\.weights=<file>$"):
        start({"name": "unet", "weights": None}, {"backbone"})
    start({"name": "unet", "weights": None}, {"reblur"})
    start({"name": "unet", "weights": "w.pth"}, {"backbone"})
    start({"name": "spandrel", "path": "w.pth"}, {"backbone"})
    start({"name": "unet", "weights": None}, {"backbone"}, Path("last.ckpt"))
    start({"name": "guided", "of": {"name": "unet", "weights": "w.pth"}, "weights": None}, {"backbone"})
    with pytest.raises(UserError):
        start({"name": "guided", "of": {"name": "unet", "weights": None}, "weights": None}, {"backbone"})


@pytest.mark.parametrize(("wanted", "backbone", "said"), [
    ({"map": 1}, "unet", "no map: set backbone=guided backbone.channels=1"),
    ({"map": 35}, "guided", "a map of 1 channel: set backbone=guided backbone.channels=35"),
    ({"map": 1}, "guided", None),
    ({"coc": 1}, "compact", None),
    ({"coc": 1}, "unet", "no coc: set backbone=<one that predicts it>"),
    ({}, "unet", None),
])  # fmt: skip
def test_maps_that_the_network_lacks_are_missed_at_once(
    wanted: dict[str, int], backbone: str, said: str | None
) -> None:
    objective = SimpleNamespace(wanted_aux=wanted)
    module: Any = SimpleNamespace(objective=objective, backbone=backbones.create(backbone, **BACKBONES[backbone]))
    run = Run({"objective": {"name": "mine"}}, Path(), Path(), None, "")
    if said is None:
        fit._check_maps(module, run)
    else:
        with pytest.raises(UserError) as error:
            fit._check_maps(module, run)
        assert str(error.value) == f"objective=mine needs a {next(iter(wanted))} from the network, which has {said}"
    assert module.backbone.training


def test_the_objective_with_a_map_refuses_other_networks_before_the_pairs(
    composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    config = composed(tmp_path, "objective=jdrl_map", "backbone.width=4", "data.root=nowhere")
    with pytest.raises(UserError, match=r"^objective=jdrl_map needs .*: set backbone=guided backbone\.channels=1$"):
        fit.build_module(Run(config, tmp_path, tmp_path, None, ""))


@pytest.mark.parametrize(("source", "extras", "refused"), [
    ("restored", (), True), ("restored", ("flow",), False), ("none", (), False),
])  # fmt: skip
def test_the_true_flow_must_be_in_the_pairs(source: str, extras: tuple[str, ...], refused: bool) -> None:
    objective = SimpleNamespace(
        flow=SimpleNamespace(uses_truth=True), schedule=SimpleNamespace(stages=[SimpleNamespace(flow_source=source)])
    )
    module: Any = SimpleNamespace(objective=objective)
    data = SimpleNamespace(pairs=lambda split: [SimpleNamespace(extras=dict.fromkeys(extras))])
    if refused:
        with pytest.raises(UserError, match=r"^flow=oracle needs pairs that carry their true flow; use data=photos or"):
            fit._check_truth(module, data)
    else:
        fit._check_truth(module, data)
