"""Energies, and the depth that follows from them."""

from __future__ import annotations

import torch

from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.preparation.focus_measure import down, focus_index, local_energy, up


def test_blur_lowers_the_energy_and_a_flat_image_has_none(photo: torch.Tensor) -> None:
    image = photo[None, :, :128, :160].float() / 255
    energies = []
    for sigma in (0, 1, 2, 4):
        blurred = smooth(image, sigma)
        energies.append(float(local_energy(blurred - up(down(blurred), blurred)).mean()))
    assert energies == sorted(energies, reverse=True)
    flat = torch.full((1, 3, 32, 32), 0.4)
    assert local_energy(flat - up(down(flat), flat)).max() < 1e-12


def test_a_peak_between_two_frames_is_found() -> None:
    """Energies that fall off like a Gaussian: their logarithms are a parabola, whose peak is exact."""
    for peak in (0.0, 1.3, 2.0, 2.6, 4.0):
        energies = [torch.full((1, 1, 24, 24), float(torch.exp(torch.tensor(-((n - peak) ** 2))))) for n in range(5)]
        assert (focus_index(energies) - peak).abs().max() < 0.02


def test_what_has_no_texture_takes_its_surroundings_depth() -> None:
    sharp, blurry = torch.full((1, 1, 64, 64), 1e-2), torch.full((1, 1, 64, 64), 1e-4)
    first, second, third = sharp.clone(), blurry.clone(), blurry.clone()
    first[..., 40:], second[..., 40:] = 1e-4, 1e-2  # a plane at the right, nearer to the second frame
    hole = (..., slice(20, 30), slice(8, 18))
    generator = torch.Generator().manual_seed(0)
    for energy in (first, second, third):
        energy[hole] = 1e-7 * (1 + 0.2 * torch.rand(1, 1, 10, 10, generator=generator))
    found = focus_index([first, second, third])
    assert (found[hole] - 0).abs().max() < 0.2
    assert (found[..., 48:] - 1).abs().max() < 0.1
    assert found.min() >= 0


def test_a_frame_that_does_not_show_a_pixel_is_not_taken_for_blurry() -> None:
    covered, outside = torch.full((1, 1, 32, 32), 1e-5), torch.full((1, 1, 32, 32), 1e-5)
    covered[..., :16], outside[..., 16:] = 1e-2, 0.0
    found = focus_index([outside, covered])
    assert (found - 1).abs().max() < 0.1  # also at the right, where only noise is left to compare
