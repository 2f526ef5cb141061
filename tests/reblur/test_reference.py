"""The reference computes in strips without a trace of them. Its values are checked against Eq. 7 by test_operator."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.reblur import reference
from reblur.random_maps import random_inputs


@pytest.mark.parametrize(("pixels", "batch", "channels"), [(1, 2, 1), (60, 3, 4), (1 << 14, 3, 2)])
def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch, pixels: int, batch: int, channels: int) -> None:
    inputs = random_inputs(3, 11, 6, batch, channels, torch.float64)
    grad = torch.rand(batch, channels, 11, 6, dtype=torch.float64)
    results = []
    for strip in (1 << 20, pixels):
        monkeypatch.setitem(reference.STRIP_PIXELS, "cpu", strip)
        results.append([reference.forward(inputs), *reference.backward(grad, inputs, True, True)])
    torch.testing.assert_close(results[1], results[0])


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("support", ["square", "disk"])
@pytest.mark.parametrize("absolute", [True, False])
def test_coarse_maps_equal_maps_enlarged_before(stride: int, support: str, absolute: bool) -> None:
    inputs = random_inputs(3, 5, 7, 2, 1, torch.float64, support, absolute, stride)
    maps = [tensor.detach().requires_grad_() for tensor in (inputs.seeds, inputs.weights)]
    full = [F.interpolate(tensor, scale_factor=stride, mode="bilinear")[..., :5, :7] for tensor in maps]
    enlarged = inputs._replace(seeds=full[0], weights=full[1], stride=1).map(Tensor.detach)
    grad = torch.rand(2, 1, 5, 7, dtype=torch.float64)
    assert torch.equal(reference.forward(inputs), reference.forward(enlarged))
    for_image, *for_maps = reference.backward(grad, enlarged, True, True)
    expected = torch.autograd.grad(full, maps, for_maps)
    torch.testing.assert_close(reference.backward(grad, inputs, True, True), [for_image, *expected])


def test_only_the_gradients_that_are_needed() -> None:
    inputs = random_inputs(3, 5, 6)
    grad = torch.rand(1, 3, 5, 6)
    image, seeds, weights = reference.backward(grad, inputs, True, True)
    (alone,) = reference.backward(grad, inputs, True, False)
    assert torch.equal(alone, image)
    assert all(map(torch.equal, reference.backward(grad, inputs, False, True), (seeds, weights)))
