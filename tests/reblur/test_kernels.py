"""Isotropic kernels against Eq. 7 written out element by element."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from jdrl_lightning.reblur.kernels import isotropic_kernel, mean_radius
from reblur.random_maps import random_maps


def eq7(seed: list[float], support: str, absolute: bool = True) -> np.ndarray:
    """One kernel, ``(2i-1, 2i-1)``, by explicit loops."""
    values = [abs(a) for a in seed] if absolute else seed
    reach = len(seed) - 1
    exponentials = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row in range(2 * reach + 1):
        for column in range(2 * reach + 1):
            rho = math.hypot(row - reach, column - reach)
            below, above = math.floor(rho), math.ceil(rho)
            if rho > reach:
                exponentials[row, column] = 1.0 if support == "square" else 0.0
            elif below == above:
                exponentials[row, column] = math.exp(values[below])
            else:
                exponentials[row, column] = math.exp((above - rho) * values[below] + (rho - below) * values[above])
    return exponentials / exponentials.sum()


@pytest.mark.parametrize("support", ["square", "disk"])
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("level", range(2, 9))
def test_equals_equation_7(level: int, support: str, absolute: bool) -> None:
    seed = 2 * torch.randn(2, level, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(level))
    kernels = isotropic_kernel(seed, support, absolute)
    assert kernels.shape == (2, (2 * level - 1) ** 2, 2, 3)
    for b, y, x in np.ndindex(2, 2, 3):
        expected = eq7(seed[b, :, y, x].tolist(), support, absolute)
        np.testing.assert_allclose(kernels[b, :, y, x].numpy(), expected.ravel(), atol=1e-12)


@pytest.mark.parametrize("support", ["square", "disk"])
def test_kernels_are_symmetric_and_sum_to_one(support: str) -> None:
    kernels = isotropic_kernel(torch.randn(1, 8, 3, 3), support).unflatten(1, (15, 15))
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(1, 3, 3))
    for same in (kernels.flip(1), kernels.flip(2), kernels.transpose(1, 2)):
        assert torch.equal(same, kernels)
    assert kernels.std() > 0
    assert bool((kernels[:, 0, 0] == 0).all()) == (support == "disk")


def test_huge_seeds_stay_finite() -> None:
    seed = torch.tensor([1e4, -2e4]).view(1, 2, 1, 1).requires_grad_()
    kernel = isotropic_kernel(seed)
    expected = torch.tensor([0.0, 0.25, 0.0, 0.25, 0.0, 0.25, 0.0, 0.25, 0.0])
    torch.testing.assert_close(kernel.flatten(), expected)
    kernel.square().sum().backward()
    assert seed.grad is not None
    assert seed.grad.isfinite().all()
    # without abs the corners' logit 0 is the largest by far
    torch.testing.assert_close(
        isotropic_kernel(torch.full((1, 2, 1, 1), -1e4), absolute=False)[0, 0, 0, 0].item(), 0.25
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype: torch.dtype) -> None:
    assert isotropic_kernel(torch.randn(1, 3, 2, 2, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("support", ["square", "disk"])
def test_gradcheck(support: str) -> None:
    seed = torch.randn(1, 4, 1, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: isotropic_kernel(s, support), seed)


def test_refuses_wrong_input() -> None:
    with pytest.raises(ValueError, match="i >= 2"):
        isotropic_kernel(torch.randn(1, 1, 4, 4))
    with pytest.raises(ValueError, match="i >= 2"):
        isotropic_kernel(torch.randn(3, 4, 4))
    with pytest.raises(ValueError, match="not one of square, disk"):
        isotropic_kernel(torch.randn(1, 3, 4, 4), support="hexagon")


def test_mean_radius_of_known_kernels() -> None:
    # level 2: all weight on the four neighbours (radius 1); level 3: all on radius 2
    seeds = torch.tensor([0.0, 50.0, 0.0, 0.0, 80.0]).view(1, 5, 1, 1)
    for weights, expected in (([1.0, 0.0, 0.0], 0.0), ([0.0, 1.0, 0.0], 1.0), ([0.2, 0.3, 0.5], 1.3)):
        radius = mean_radius(seeds, torch.tensor(weights).view(1, 3, 1, 1), levels=3)
        assert radius.shape == (1, 1, 1, 1)
        assert radius.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("support", ["square", "disk"])
def test_mean_radius_is_the_mean_distance_under_the_kernels(support: str) -> None:
    _, seeds, weights = random_maps(5, 6, 7)
    expected, start = seeds.new_zeros(len(seeds), 6, 7), 0
    for level in range(2, 6):
        kernel = isotropic_kernel(seeds[:, start : start + level], support).unflatten(1, (2 * level - 1, -1))
        for y in range(2 * level - 1):
            for x in range(2 * level - 1):
                distance = math.hypot(x - level + 1, y - level + 1)
                expected += weights[:, level - 1] * kernel[:, y, x] * distance
        start += level
    torch.testing.assert_close(mean_radius(seeds, weights, 5, support)[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_coarse_scale_counts_twice_in_the_mean_radius() -> None:
    _, seeds, weights = random_maps(3, 8, 8, scales=2)
    (fine_seeds, coarse_seeds), (fine, coarse) = seeds.chunk(2, dim=1), weights.split([3, 2], dim=1)
    within = mean_radius(coarse_seeds, torch.cat([1 - coarse.sum(1, keepdim=True), coarse], dim=1), levels=3)
    expected = mean_radius(fine_seeds, fine, levels=3) + 2 * within
    torch.testing.assert_close(mean_radius(seeds, weights, levels=3, scales=2), expected)
