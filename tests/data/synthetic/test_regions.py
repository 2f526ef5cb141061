"""Rectangles relative to the frame's centre."""

from __future__ import annotations

import pytest
import torch
from scipy.fft import next_fast_len

from jdrl_lightning.data.synthetic.regions import Box, areas, coordinates, cut, smooth_size


def test_cut_pads_with_zeros() -> None:
    image = torch.arange(24.0).view(1, 4, 6)
    extent = Box.centred(4, 6)
    assert torch.equal(Box(-1, -2, 1, 2).of(image, extent), image[:, 1:3, 1:5])
    assert torch.equal(cut(image, extent, extent.grown(2)), torch.nn.functional.pad(image, (2, 2, 2, 2)))
    assert torch.equal(cut(image, extent, Box(0, 1, 5, 3))[:, :2], image[:, 2:4, 4:6])


def test_disjoint_boxes_have_an_empty_intersection() -> None:
    assert Box(0, 0, 2, 2).common(Box(0, 5, 2, 7)).empty
    assert not Box(0, 0, 2, 2).common(Box(1, 1, 5, 5)).empty
    assert cut(torch.ones(4, 2, 2), Box(0, 0, 2, 2), Box(3, -4, 6, 0)).eq(0).all()


def test_coordinates_are_of_pixel_centres() -> None:
    x, y = coordinates(Box.centred(4, 8), 2)
    assert x.shape == y.shape == (4, 8)
    assert x[0].tolist() == [-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75]
    assert float(y.mean()) == 0


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_areas_are_pooled(scale: int) -> None:
    image = torch.rand(3, 12, 18, generator=torch.Generator().manual_seed(0))
    pooled = torch.nn.functional.avg_pool2d(image[None], scale)[0]
    assert torch.equal(areas(image, scale), pooled) if scale < 3 else torch.allclose(areas(image, scale), pooled)


@pytest.mark.parametrize("length", [1, 7, 121, 543, 601, 1025])
def test_smooth_sizes_match_scipy(length: int) -> None:
    assert smooth_size(length) == next_fast_len(length, real=True)
