"""Depths, palettes, inks and alpha of a TIFF, as functions of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from image_bytes import noise
from jdrl_lightning.io import tiff_channels as channels
from jdrl_lightning.io.stored import Unsupported


@pytest.mark.parametrize("depth", [8, 16])
def test_8_and_16_bits_are_kept(depth: int) -> None:
    pixels = noise(depth, 3)
    np.testing.assert_array_equal(channels.to_levels(pixels, depth), pixels)
    swapped = channels.to_levels(pixels.astype(pixels.dtype.newbyteorder(">")), depth)
    np.testing.assert_array_equal(swapped, pixels)
    assert swapped.dtype == pixels.dtype


@pytest.mark.parametrize("bits", [1, 2, 3, 7, 10, 12, 15])
def test_black_and_white_stay(bits: int) -> None:
    levels = channels.to_levels(np.array([0, 2**bits - 1], np.uint16), bits)
    assert (levels.tolist(), levels.dtype) == ([0, 65535], np.uint16)


def test_complex_numbers_are_refused() -> None:
    with pytest.raises(Unsupported, match="complex64: save it with 8 or 16 bits"):
        channels.to_levels(np.ones(3, np.complex64), 64)


@pytest.mark.parametrize("factor", [256, 257])
def test_a_palette_of_8_bits_in_either_custom(factor: int) -> None:
    table = np.arange(256, dtype=np.uint16)[None].repeat(3, axis=0) * np.uint16(factor)
    found = channels.looked_up(np.array([[[0], [7], [255]]]), table)
    assert (found.dtype, found[0, :, 1].tolist()) == (np.uint8, [0, 7, 255])


@pytest.mark.parametrize(
    ("count", "grey", "extra", "expected"),
    [
        (1, True, (), (1, [])),
        (2, True, (2,), (1, [2])),
        (3, True, (0, 0), (3, [])),  # RGB that calls itself grey
        (3, True, (), (3, [])),
        (3, True, (2, 0), (1, [2, 0])),
        (4, True, (0, 0, 1), (3, [1])),
        (3, False, (), (3, [])),
        (4, False, (), (3, [0])),
        (5, False, (0, 2), (3, [0, 2])),
    ],
)
def test_what_the_channels_mean(
    count: int, grey: bool, extra: tuple[int, ...], expected: tuple[int, list[int]]
) -> None:
    assert channels.meanings(count, grey, extra) == expected


def test_alpha_follows_the_colours() -> None:
    assert channels.alpha_first(3, []) == ([0, 1, 2], False)
    assert channels.alpha_first(3, [0, 2]) == ([0, 1, 2, 4, 3], False)
    assert channels.alpha_first(1, [1, 0]) == ([0, 1, 2], True)


def test_premultiplied_colours() -> None:
    colours = np.array([[[64], [128], [5], [200]]], np.uint8)
    alpha = np.array([[[128], [128], [0], [100]]], np.uint8)  # the last colour is brighter than its alpha permits
    assert channels.straight(colours, alpha).ravel().tolist() == [128, 255, 5, 255]
    np.testing.assert_allclose(channels.straight(np.array([[[0.2]]]), np.array([[[0.4]]])), 0.5)


def test_inks_equal_pillow() -> None:
    inks = noise(8, 4, 64, 64)
    expected = np.asarray(Image.frombytes("CMYK", (64, 64), inks.tobytes()).convert("RGB"))
    np.testing.assert_array_equal(channels.cmyk_to_rgb(inks), expected)


def test_inverted_grey() -> None:
    assert channels.inverted(np.array([0, 1, 255], np.uint8)).tolist() == [255, 254, 0]
    np.testing.assert_allclose(channels.inverted(np.array([0.25])), 0.75)
