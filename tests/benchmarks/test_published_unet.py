"""The reference for our U-Net's speed and memory is the same network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jdrl_lightning.backbones.dpdnet import DPDNet
from jdrl_lightning.backbones.unet import UNet

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("network", [UNet(4, 0.0, init="official"), DPDNet(4, 0.0)])
def test_published_form_equals_ours_and_so_do_its_gradients(network: UNet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from published_unet import published_forward

    torch.manual_seed(0)
    network = network.double()
    blurry = torch.rand(2, 3, 32, 48, dtype=torch.float64)
    given = [*network.parameters()]
    ours, published = network(blurry), published_forward(network, blurry)
    torch.testing.assert_close(ours, published)
    wanted = torch.autograd.grad(published.square().sum(), given)
    torch.testing.assert_close(torch.autograd.grad(ours.square().sum(), given), wanted)


def test_restoring_a_tile_holds_no_more_than_three_of_the_widest_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from tile_memory import mib

    features = 64 * 512**2 * 4 / 2**20
    assert 3 * features < mib("unet", 512) < 3.5 * features
