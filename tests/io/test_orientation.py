"""EXIF orientation as Pillow applies it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from image_bytes import noise, rows_first
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.io.orientation import (
    SWAPS_AXES,
    TAG,
    apply_orientation,
    exif_orientation,
    pillow_orientation,
)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = tmp_path / f"a{suffix}"
    stored = Image.fromarray(noise(8, 3))
    if suffix == ".tif":
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, np.asarray(stored), photometric="rgb", extratags=tags, metadata=None)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(rows_first(read_image(path)), expected)
    assert header(path)[:2] == expected.shape[:2]


@pytest.mark.parametrize("value", [0, 9, 77])
def test_invalid_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(noise(8, 3)).save(tmp_path / "a.jpg", exif=exif)
    assert header(tmp_path / "a.jpg")[:2] == (13, 17)
    assert read_image(tmp_path / "a.jpg").shape == (3, 13, 17)


@pytest.mark.parametrize("orientation", range(10))
def test_pixels_are_turned_like_pillow(orientation: int) -> None:
    image = Image.fromarray(noise(8, 3))
    image.getexif()[TAG] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    turned = apply_orientation(np.asarray(image), orientation)
    np.testing.assert_array_equal(turned, expected)
    assert (turned.shape[0] == 17) == (orientation in SWAPS_AXES)


@pytest.mark.parametrize("orientation", [1, 3, 8])
def test_it_is_found_in_raw_exif_and_by_pillow(orientation: int) -> None:
    exif = Image.Exif()
    exif[TAG] = orientation
    assert exif_orientation(exif.tobytes()) == orientation
    image = Image.new("RGB", (2, 2))
    image.getexif()[TAG] = orientation
    assert pillow_orientation(image) == orientation


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "exif",
    [None, b"", b"Exif\0\0", b"MM\0*\0\0\0\x08", b"II*\0" + bytes(range(200, 240)), bytes(40)],
    ids=["none", "empty", "bare", "cut", "garbage", "zeros"],
)
def test_without_or_with_damaged_metadata_the_pixels_stay(exif: bytes | None) -> None:
    assert exif_orientation(exif) == 1
