"""Freely predicted kernels against explicit loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.reblur.free import reblur_free


def inputs(levels: int, height: int, width: int, channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(levels)
    image = torch.rand(1, channels, height, width, dtype=torch.float64, generator=draw)
    n_logits = sum((2 * level - 1) ** 2 for level in range(2, levels + 1))
    logits = torch.randn(1, n_logits, height, width, dtype=torch.float64, generator=draw)
    return image, logits, torch.randn(1, levels, height, width, dtype=torch.float64, generator=draw).softmax(dim=1)


@pytest.mark.parametrize(("padding", "mode"), [("zeros", "constant"), ("reflect", "reflect")])
def test_equals_explicit_loops(padding: str, mode: str) -> None:
    image, logits, weights = inputs(3, height=4, width=5)
    padded = np.pad(image[0].numpy(), [(0, 0), (2, 2), (2, 2)], mode=mode)  # type: ignore[call-overload]
    result = reblur_free(image, logits, weights, 3, padding)
    for y, x in np.ndindex(4, 5):
        total = weights[0, 0, y, x].item() * image[0, :, y, x].numpy()
        for level, first in ((2, 0), (3, 9)):
            size = 2 * level - 1
            kernel = torch.softmax(logits[0, first : first + size**2, y, x], dim=0).view(size, size)
            for row, column in np.ndindex(size, size):
                sample = padded[:, y + row - level + 3, x + column - level + 3]
                total = total + weights[0, level - 1, y, x].item() * kernel[row, column].item() * sample
        np.testing.assert_allclose(result[0, :, y, x].numpy(), total, atol=1e-10)


def test_gradcheck() -> None:
    leaves = [t.requires_grad_() for t in inputs(2, height=3, width=3, channels=1)]
    assert torch.autograd.gradcheck(lambda *t: reblur_free(*t, levels=2), leaves)


def test_refuses_wrong_input() -> None:
    image, logits, weights = inputs(3, height=4, width=5)
    with pytest.raises(ValueError, match=r"kernels must be \(1, 34, 4, 5\)"):
        reblur_free(image, logits[:, 1:], weights, 3)
