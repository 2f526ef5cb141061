"""The compact network: its budget, the start as the identity, the map, and its loss."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from jdrl_lightning import backbones
from jdrl_lightning.errors import UserError
from jdrl_lightning.module import DeblurringModule
from jdrl_lightning.objectives.supervised import Supervised
from jdrl_lightning.testing import assert_is_backbone
from jdrl_lightning.types import Pair, Restored


def test_it_keeps_to_its_budget() -> None:
    backbone = backbones.create("compact")
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 1_049_245
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.rand(1, 3, 64, 96))
    assert counter.get_total_flops() / 2 / (64 * 96) == pytest.approx(49_938, abs=1)


def test_untrained_it_returns_its_input() -> None:
    blurry = torch.rand(2, 3, 41, 50)
    restored = backbones.create("compact", width=8).eval()(blurry)
    assert torch.equal(restored.images[0], blurry)


def test_the_contract() -> None:
    backbone = backbones.create("compact", width=8, blocks=[1, 2])
    assert backbone.divisor == 4
    assert_is_backbone(backbone)


def test_the_map_has_a_radius_for_each_pixel() -> None:
    restored = backbones.create("compact", width=8)(torch.rand(2, 3, 32, 40))
    assert restored.aux["coc"].shape == (2, 1, 32, 40)
    assert restored.aux["coc"].min() >= 0


def test_the_maps_loss_is_the_mean_error_in_pixels() -> None:
    heads = backbones.create("compact", width=8, map_weight=0.1).auxiliary()
    assert heads is not None
    blurry = torch.rand(1, 3, 5, 6)
    restored = Restored((blurry,), {"coc": torch.full((1, 1, 8, 8), 3.0)})
    truth = Pair(blurry, blurry, [""], {"coc": torch.full((1, 1, 5, 6), 1.0)})
    assert float(heads(None, restored, truth)["coc"]) == pytest.approx(0.2)
    assert float(heads(None, restored, truth._replace(extras={}))["coc"]) == 0


@pytest.mark.parametrize("there", [True, False])
def test_training_reaches_every_parameter(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parameter without a gradient stops DDP, whether or not the pairs have the truth."""
    module = DeblurringModule(backbones.create("compact", width=4, blocks=(1, 1)), Supervised())
    for name in ("log", "log_dict"):
        monkeypatch.setattr(module, name, lambda *_, **__: None)
    extras = {"coc": torch.rand(1, 1, 12, 16)} if there else {}
    pair = Pair(torch.rand(1, 3, 12, 16), torch.rand(1, 3, 12, 16), ["a"], extras)
    module.training_step(pair, 0)["loss"].backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    learns = bool(module.backbone.network.map_head[0].weight.grad.abs().max() > 0)
    assert learns == there


@pytest.mark.parametrize("settings", [{"width": 0}, {"blocks": []}, {"blocks": [2, 0]}])
def test_settings_that_make_no_network(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match="must be positive"):
        backbones.create("compact", **settings)
