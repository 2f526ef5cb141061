"""Training-only heads: where they belong, when their losses count, and what checkpoints keep of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import backbones, build
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.module import DeblurringModule
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.objectives.supervised import Supervised
from jdrl_lightning.types import Losses, Pair, Restored

pytestmark = pytest.mark.filterwarnings("ignore:You are trying to `self.log")  # a step without a trainer


class Heads(nn.Module):
    """Two losses, one of them of the head's own parameter; records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = nn.Parameter(torch.tensor(2.0))
        self.calls: list[tuple[Any, Restored, Pair]] = []

    def forward(self, backbone: Backbone, restored: Restored, pair: Pair) -> dict[str, Tensor]:
        self.calls.append((backbone, restored, pair))
        return {"mean": (restored.images[0].mean() - self.wanted).square(), "constant": torch.tensor(0.25)}


class WithHeads(Backbone):
    def auxiliary(self) -> Heads:
        return Heads()


class Plain(nn.Module):
    """A plain module, not a backbone of ours: it has no heads."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, blurry: Tensor) -> Restored:
        return Restored((self.layer(blurry),), {})


class Frozen(Objective):
    known_terms = ("pixel",)

    def __init__(self) -> None:
        super().__init__(Schedule((Stage("only", 0, "none", {"pixel": 1.0}, frozen=("backbone",)),)))
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        terms = {"pixel": (self.scale * restored.images[0].detach() - pair.sharp).square().mean()}
        return Losses(self.weigh(terms, stage), terms, {})


def _backbone() -> Backbone:
    torch.manual_seed(0)
    return WithHeads(nn.Conv2d(3, 3, 1), divisor=1, licence="none", name="point")


@pytest.fixture
def pair() -> Pair:
    torch.manual_seed(1)
    return Pair(torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8), ["a", "b"], {})


def test_the_heads_belong_to_the_module_alone() -> None:
    backbone = _backbone()
    module = DeblurringModule(backbone, Supervised())
    assert isinstance(module.auxiliary, Heads)
    assert set(backbone.state_dict()) == {"network.weight", "network.bias"}
    assert "auxiliary.wanted" in module.state_dict()
    optimizer = module.configure_optimizers()
    assert any(p is module.auxiliary.wanted for group in optimizer.param_groups for p in group["params"])


def test_their_losses_are_added_with_weight_one_and_logged(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    module = DeblurringModule(_backbone(), Supervised(loss="mse"))
    logged: dict[str, float] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value.item()}))
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update({k: v.item() for k, v in values.items()}))
    loss = module.training_step(pair, 0)["loss"]
    restored = module.backbone(pair.blurry).images[0]
    pixel, mean = (restored - pair.sharp).square().mean(), (restored.mean() - 2).square()
    torch.testing.assert_close(loss, pixel + mean + 0.25)
    expected = {"": loss.item(), "/pixel": pixel.item(), "/mean": mean.item(), "/constant": 0.25}
    assert logged == pytest.approx({f"train/loss{name}": value for name, value in expected.items()})
    (backbone, given, seen), *others = module.auxiliary.calls
    assert not others
    assert backbone is module.backbone
    assert seen is pair
    torch.testing.assert_close(given.images[0], restored)
    loss.backward()
    assert module.auxiliary.wanted.grad != 0


def test_they_rest_while_the_backbone_is_frozen_and_in_validation(pair: Pair) -> None:
    module = DeblurringModule(_backbone(), Frozen())
    loss = module.training_step(pair, 0)["loss"]
    module.validation_step(pair, 0)
    assert module.auxiliary.calls == []
    restored = module.backbone(pair.blurry).images[0]
    torch.testing.assert_close(loss, (restored - pair.sharp).square().mean())
    assert module.objective.find_unused_parameters  # DDP must expect unused parameters


@pytest.mark.parametrize("kind", ["unet", "plain"])
def test_backbones_without_heads(kind: str, pair: Pair) -> None:
    backbone = backbones.create("unet", width=2, dropout=0.0) if kind == "unet" else Plain()
    module = DeblurringModule(backbone, Supervised(loss="mse"))
    assert module.auxiliary is None
    assert not [key for key in module.state_dict() if "auxiliary" in key]
    loss = module.training_step(pair, 0)["loss"]
    torch.testing.assert_close(loss, (module.backbone(pair.blurry).images[0] - pair.sharp).square().mean())


def test_ifan_trains_and_comes_back_from_its_checkpoint(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", "backbone=ifan", "backbone.n_filters=2", "trainer.max_epochs=1")
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss"]]
    parts = ("align", "align_back", "reblur", "filter_reblur")
    weights = (1, 1, 0.5, 1)
    for row in rows:
        terms = [float(row[f"train/loss/{name}"]) for name in parts]
        total = sum(weight * term for weight, term in zip(weights, terms, strict=True))
        assert float(row["train/loss"]) == pytest.approx(total, rel=1e-4)
        assert terms[-1] > 0
    assert not any("disparity" in column for column in rows[0])

    path = run / "checkpoints" / "last.ckpt"
    saved = build.read_checkpoint(path)["state_dict"]
    assert {key.split(".")[0] for key in saved} == {"backbone", "objective", "auxiliary"}
    restored = build.from_checkpoint(path)
    assert all(torch.equal(value, saved[key]) for key, value in restored.state_dict().items())
    alone = backbones.create("ifan", width=4, n_filters=2)
    backbones.load_weights(alone, path)
    blurry = torch.rand(1, 3, 20, 33)
    assert torch.equal(alone.eval()(blurry).images[0], restored(blurry))
    count = sum(parameter.numel() for parameter in alone.parameters())
    assert json.loads((run / "summary.json").read_text())["parameters"] == count
