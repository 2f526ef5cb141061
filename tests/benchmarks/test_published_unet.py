"""What our U-Net's speed and memory are held against is the same network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jdrl_lightning.backbones.unet import UNet

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_published_form_equals_ours_and_so_do_its_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from published_unet import published_forward

    torch.manual_seed(0)
    network = UNet(width=4, dropout=0.0, init="official").double()
    blurry = torch.rand(2, 3, 32, 48, dtype=torch.float64)
    given = [*network.parameters()]
    ours, published = network(blurry), published_forward(network, blurry)
    torch.testing.assert_close(ours, published)
    wanted = torch.autograd.grad(published.square().sum(), given)
    torch.testing.assert_close(torch.autograd.grad(ours.square().sum(), given), wanted)
