"""The contrast of cells, against NumPy's differences; and what it is for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter
from torch import Tensor

from jdrl_lightning.flow.contrast import edge_width, edges_left, log_contrast


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


@pytest.mark.parametrize("stride", [2, 4])
def test_edge_width_is_range_over_steepest_difference(stride: int) -> None:
    rows, columns = 10, 14
    image = np.random.default_rng(0).random((3, rows * stride, columns * stride))
    grey = image.mean(0)

    def of_cells(values: np.ndarray, window: int) -> np.ndarray:
        cells = values.reshape(rows, stride, columns, stride).max((1, 3))
        return maximum_filter(cells, 2 * window + 1, mode="constant", cval=-np.inf)

    expected = []
    for window in (1, 4, 8):
        span = of_cells(grey, window) + of_cells(-grey, window)
        for distance in (1, 2, 4):
            steepest = np.zeros_like(grey)
            steepest[:, :-distance] = np.abs(grey[:, distance:] - grey[:, :-distance])
            steepest[:-distance] = np.maximum(steepest[:-distance], np.abs(grey[distance:] - grey[:-distance]))
            expected.append(np.log((span + 4 / 255) / (of_cells(steepest, window) + 4 / 255)))
    np.testing.assert_allclose(edge_width(torch.from_numpy(image)[None], stride)[0], np.stack(expected))


def test_edge_width_grows_with_blur_and_not_with_contrast() -> None:
    step = np.broadcast_to(np.arange(64) >= 30, (3, 64, 64)).astype(float)
    widths = []
    for sigma in (0.5, 1.0, 2.0, 4.0):
        edge = torch.from_numpy(gaussian_filter(step, (0, sigma, sigma)))[None]
        high, low = (edge_width(contrast * edge, 4)[0, 3:6, 8, 8] for contrast in (1.0, 0.5))
        torch.testing.assert_close(low, high, atol=0.15, rtol=0)
        widths.append(high)
    assert torch.stack(widths).diff(dim=0).amin() > 0.02
    assert not edge_width(torch.full((1, 3, 32, 32), 0.4), 4).any()


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0, 5.0])
def test_a_steps_slope_falls_as_the_root_of_its_variance(sigma: float) -> None:
    step = np.broadcast_to(np.arange(96) >= 46, (3, 96, 96)).astype(float)
    edge = torch.from_numpy(gaussian_filter(step, (0, sigma, sigma)))[None]
    variances = np.array([0.7, 1.0, 2.0, 4.0]) ** 2 + sigma**2 + 1 / 12  # and that of the difference, which is a mean
    expected = np.log(variances[:-1] / variances[1:]) / 2
    found = edges_left(edge, 4)
    assert found.shape == (1, 9, 24, 24)
    for window in range(3):
        np.testing.assert_allclose(found[0, 3 * window : 3 * window + 3, 11, 11], expected, atol=0.06)
    assert edges_left(torch.full((1, 3, 32, 32), 0.4), 4).abs().max() < 1e-3


@pytest.mark.parametrize("measure", [log_contrast, edge_width, edges_left])
def test_mixed_precision_changes_nothing(measure: Callable[[Tensor, int], Tensor]) -> None:
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = measure(images, 4)
    torch.testing.assert_close(mixed, measure(images, 4), atol=0, rtol=0)


@pytest.mark.parametrize("measure", [log_contrast, edge_width, edges_left])
def test_lets_no_gradient_through(measure: Callable[[Tensor, int], Tensor]) -> None:
    assert not measure(torch.rand(1, 3, 8, 8, requires_grad=True), 4).requires_grad
