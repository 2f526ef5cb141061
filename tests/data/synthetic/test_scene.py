"""Layered scenes: mirrored canvases, ordered planes, premultiplied cut-outs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.scene import Layer, canvas, draw_scene

EXTENT = Box.centred(160, 200)


def scene(number: int) -> list[Layer]:
    photos = [torch.rand(3, 180, 220, generator=torch.Generator().manual_seed(n)) for n in range(2)]
    return draw_scene(np.random.default_rng(number), photos[0], photos, EXTENT, 2)


def test_the_canvas_equals_the_photograph_inside() -> None:
    photo = torch.rand(3, 10, 12)
    assert torch.equal(canvas(photo, 2, 3, 5, 6), photo[:, 2:7, 3:9])


def test_the_canvas_is_mirrored_beyond_the_edges() -> None:
    photo = torch.rand(3, 10, 12)
    expected = np.pad(photo.numpy(), ((0, 0), (7, 7), (9, 9)), mode="symmetric")
    np.testing.assert_array_equal(canvas(photo, -7, -9, 24, 30), expected)


@pytest.mark.parametrize("number", range(8))
def test_the_background_is_behind_its_cut_outs(number: int) -> None:
    background, *cut_outs = scene(number)
    assert background.extent == EXTENT
    assert background.rgba[3].eq(1).all()
    assert 0 <= len(cut_outs) <= 3
    levels = [layer.plane.level for layer in (background, *cut_outs)]
    assert levels == sorted(levels)
    corners = torch.tensor([-50.0, 50.0, 50.0, -50.0]), torch.tensor([-40.0, -40.0, 40.0, 40.0])
    for layer in cut_outs:
        assert float(layer.plane(*corners).mean()) > float(background.plane(*corners).mean())


@pytest.mark.parametrize("number", range(8))
def test_cut_outs_are_premultiplied_and_fit_their_box(number: int) -> None:
    for layer in scene(number):
        light, coverage = layer.rgba[:3], layer.rgba[3]
        assert light.shape[1:] == (layer.extent.height, layer.extent.width)
        assert layer.extent.common(EXTENT) == layer.extent
        assert bool((light >= 0).all())
        assert bool((light <= coverage + 1e-6).all())
        for edge in (coverage[0], coverage[-1], coverage[:, 0], coverage[:, -1]):
            assert edge.max() > 0


def test_scenes_are_reproducible_and_differ_by_seed() -> None:
    first, again, other = scene(1), scene(1), scene(2)
    assert all(torch.equal(a.rgba, b.rgba) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].rgba, other[0].rgba)
