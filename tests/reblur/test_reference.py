"""The ring form: its strips do not show. What it computes, test_operator holds against Eq. 7 in float64."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.reblur import reference
from reblur.maps import padded_maps


@pytest.mark.parametrize(("pixels", "batch", "channels"), [(1, 2, 1), (60, 3, 4), (1 << 14, 3, 2)])
def test_strips_do_not_show(monkeypatch: pytest.MonkeyPatch, pixels: int, batch: int, channels: int) -> None:
    tensors = padded_maps(3, 11, 6, batch, channels, torch.float64)
    grad = torch.rand(batch, channels, 11, 6, dtype=torch.float64)
    results = []
    for strip in (1 << 20, pixels):
        monkeypatch.setitem(reference.STRIP_PIXELS, "cpu", strip)
        forward = reference.forward(*tensors, "square", True)
        results.append([forward, *reference.backward(grad, *tensors, "square", True, True, True)])
    torch.testing.assert_close(results[1], results[0])


def test_only_what_is_needed() -> None:
    tensors = padded_maps(3, 5, 6)
    grad = torch.rand(1, 3, 5, 6)
    image, seeds, weights = reference.backward(grad, *tensors, "square", True, True, True)
    (alone,) = reference.backward(grad, *tensors, "square", True, True, False)
    assert torch.equal(alone, image)
    found = reference.backward(grad, *tensors, "square", True, False, True)
    assert all(map(torch.equal, found, (seeds, weights)))
