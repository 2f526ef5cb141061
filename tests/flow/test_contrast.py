"""The contrast of cells, against NumPy's differences; and what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from jdrl_lightning.flow.contrast import log_contrast


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_mean_difference_to_neighbours(stride: int) -> None:
    image = np.random.default_rng(0).random((3, 12, 24))
    grey = image.mean(0)
    found = log_contrast(torch.from_numpy(image)[None], stride)
    assert found.shape == (1, 3, 12 // stride, 24 // stride)
    for channel, distance in enumerate((1, 2, 4)):
        total = np.zeros_like(grey)
        total[:, :-distance] += np.abs(grey[:, distance:] - grey[:, :-distance])
        total[:-distance] += np.abs(grey[distance:] - grey[:-distance])
        cells = total.reshape(12 // stride, stride, 24 // stride, stride).mean((1, 3))
        np.testing.assert_allclose(found[0, channel], np.log((cells + 1 / 255) / 0.05))


def test_blur_lowers_it_and_more_among_near_neighbours() -> None:
    sharp = np.random.default_rng(0).random((3, 32, 32))
    blurry = gaussian_filter(sharp, (0, 1, 1))
    before, after = (log_contrast(torch.from_numpy(image)[None], 4).mean((0, 2, 3)) for image in (sharp, blurry))
    lost = before - after
    assert lost.min() > 0.5
    assert lost[0] > lost[1] > lost[2]


def test_lets_no_gradient_through() -> None:
    assert not log_contrast(torch.rand(1, 3, 8, 8, requires_grad=True), 4).requires_grad
