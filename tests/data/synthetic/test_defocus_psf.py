"""Discs against their moments, and the blur against a direct convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs, disc


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.5, 6.0, 14.0])
def test_a_disc_sums_to_one_and_is_symmetric(radius: float) -> None:
    kernel = disc(radius, 31)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-12)
    assert kernel.min() >= 0
    for turned in (kernel.flip(0), kernel.flip(1), kernel.T):
        assert torch.equal(turned, kernel)


@pytest.mark.parametrize("radius", [3.0, 6.0, 14.0])
def test_the_second_moment_is_half_the_radius_squared(radius: float) -> None:
    offset = torch.arange(31, dtype=torch.float64) - 15
    square = offset[:, None].square() + offset.square()
    assert float((disc(radius, 31) * square).sum()) == pytest.approx(radius**2 / 2, rel=0.06)


def test_radius_zero_is_a_point() -> None:
    kernel = disc(0, 5)
    assert kernel[2, 2] == 1
    assert kernel.sum() == 1


def test_radius_zero_keeps_the_image() -> None:
    image = torch.rand(3, 20, 24)
    torch.testing.assert_close(blur_by_discs(image, torch.zeros(20, 24)), image)


def test_a_constant_image_stays_constant() -> None:
    radius = torch.linspace(0, 6, 40).expand(30, 40)
    torch.testing.assert_close(blur_by_discs(torch.full((2, 30, 40), 0.7), radius), torch.full((2, 30, 40), 0.7))


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_one_radius_is_a_convolution(radius: int) -> None:
    image = np.random.default_rng(0).random((20, 25))
    expected = convolve(image, disc(radius, 2 * radius + 3).numpy(), mode="wrap")
    blurred = blur_by_discs(torch.from_numpy(image)[None], torch.full((20, 25), float(radius)))
    np.testing.assert_allclose(blurred[0], expected, atol=1e-6)


def test_a_radius_between_two_is_blended_linearly() -> None:
    image = torch.rand(1, 24, 24, dtype=torch.float64)
    at = {r: blur_by_discs(image, torch.full((24, 24), r, dtype=torch.float64)) for r in (2.0, 2.25, 3.0)}
    torch.testing.assert_close(at[2.25], 0.75 * at[2.0] + 0.25 * at[3.0])


def test_every_pixel_has_its_own_radius() -> None:
    image = torch.rand(1, 32, 40, dtype=torch.float64)
    radius = torch.cat([torch.full((32, 20), 1.0), torch.full((32, 20), 4.0)], dim=1).double()
    blurred = blur_by_discs(image, radius)
    for value, columns in ((1.0, slice(0, 20)), (4.0, slice(20, 40))):
        alone = blur_by_discs(image, torch.full((32, 40), value, dtype=torch.float64))
        torch.testing.assert_close(blurred[..., columns], alone[..., columns])
