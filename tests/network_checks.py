"""Checks shared by the tests of the backbones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones import Backbone


def randomise(network: nn.Module) -> None:
    """Move away from the initial values, at which branches and last layers may be 0."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def train(backbone: Backbone, blurry: Tensor, sharp: Tensor, steps: int, rate: float = 1e-3) -> list[float]:
    """Minimise the squared error with Adam; returns the loss of each step, and leaves the last gradients."""
    optimizer = torch.optim.Adam(backbone.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = (backbone(blurry).images[0] - sharp).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses


def assert_equals(ours: nn.Module, theirs: nn.Module, blurry: Tensor, weight: Tensor) -> None:
    """Same keys; with the same random weights, same output and same gradients, none of which is 0."""
    randomise(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    for network in (ours, theirs):
        (network(blurry) * weight).sum().backward()
    torch.testing.assert_close(ours(blurry), theirs(blurry), rtol=1e-9, atol=1e-9)
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-7)


def assert_autocast_trains(backbone: Backbone) -> None:
    """In bfloat16: close to float32, with finite gradients."""
    blurry = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        restored = backbone(blurry).images
    torch.testing.assert_close(restored[0].float(), backbone(blurry).images[0], rtol=0, atol=0.05)
    sum((image.square().sum() for image in restored), start=torch.zeros(())).backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in backbone.parameters())


def assert_exports(backbone: Backbone, height: int = 16, width: int = 24) -> None:
    """The exported backbone returns the same images."""
    blurry = torch.rand(1, 3, height, width)
    exported: Any = torch.export.export(backbone, (blurry,)).module()
    torch.testing.assert_close(exported(blurry).images, backbone(blurry).images)


def assert_exports_for_any_size(network: nn.Module, divisor: int) -> None:
    """A network exported with one size takes others, all multiples of ``divisor``, and another batch size."""
    height, width = (torch.export.Dim(name, min=2, max=64) for name in ("height", "width"))
    shapes = ({0: torch.export.Dim("batch"), 2: divisor * height, 3: divisor * width},)
    example, blurry = torch.rand(2, 3, 3 * divisor, 4 * divisor), torch.rand(3, 3, 2 * divisor, 5 * divisor)
    program = torch.export.export(network, (example,), dynamic_shapes=shapes)
    exported, expected = program.module()(blurry), network(blurry)
    torch.testing.assert_close(getattr(exported, "images", exported), getattr(expected, "images", expected))
