"""The reference computes in strips without a trace of them. Its values are checked against Eq. 7 by test_operator."""

from __future__ import annotations

import pytest
import torch

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


def test_only_the_gradients_that_are_needed() -> None:
    inputs = random_inputs(3, 5, 6)
    grad = torch.rand(1, 3, 5, 6)
    image, seeds, weights = reference.backward(grad, inputs, True, True)
    (alone,) = reference.backward(grad, inputs, True, False)
    assert torch.equal(alone, image)
    assert all(map(torch.equal, reference.backward(grad, inputs, False, True), (seeds, weights)))
