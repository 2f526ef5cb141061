"""What is refused before a training starts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.training import fit
from jdrl_lightning.training.run import Run


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
