"""EXIF orientation as Pillow applies it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from image_bytes import chunk, noise, png_bytes, rows_first
from jdrl_lightning.io.image import Metadata, header, read_image, read_picture
from jdrl_lightning.io.orientation import (
    SWAPS_AXES,
    TAG,
    apply_orientation,
    exif_orientation,
    pillow_orientation,
    upright,
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


XMP = b'<x:xmpmeta xmlns:tiff="t"><d tiff:Orientation="6"/><tiff:Orientation>8</tiff:Orientation></x:xmpmeta>'


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_an_xmp_packet_has_the_orientation_if_exif_data_have_not(tmp_path: Path, suffix: str) -> None:
    path, stored = tmp_path / f"a{suffix}", Image.fromarray(noise(8, 3))
    if suffix == ".tif":
        tags = [(700, "B", len(XMP), XMP, True)]
        tifffile.imwrite(path, np.asarray(stored), photometric="rgb", extratags=tags, metadata=None)
    elif suffix == ".png":
        path.write_bytes(png_bytes(noise(8, 3), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)))
    else:
        stored.save(path, xmp=XMP)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    picture = read_picture(path)
    np.testing.assert_array_equal(rows_first(picture.image), expected)
    assert header(path)[:2] == expected.shape[:2] == (17, 13)
    assert picture.metadata.xmp == XMP.replace(b"6", b"1").replace(b"8", b"1")


@pytest.mark.parametrize("endian", "<>")
def test_exif_data_are_reset_and_otherwise_kept_byte_for_byte(endian: str) -> None:
    exif = Image.Exif()
    exif.endian = endian
    exif[TAG], exif[0x010F] = 6, "A camera"
    exif.get_ifd(0x8769)[0x927C] = b"the maker's own notes"
    raw = exif.tobytes()
    done = upright(Metadata(exif=raw), 6).exif
    assert done is not None
    assert exif_orientation(done) == 1
    assert sum(before != after for before, after in zip(raw[6:], done, strict=True)) == 1


def test_the_thumbnail_is_unlinked() -> None:
    """A directory with one tag, and a link to a second one."""
    raw = b"MM\0*\0\0\0\x08" + b"\0\1" + b"\1\x12\0\3\0\0\0\1\0\5\0\0" + b"\0\0\0\x1a" + bytes(6)
    assert upright(Metadata(exif=raw), 5).exif == raw.replace(b"\0\5\0\0", b"\0\1\0\0").replace(b"\x1a", b"\0")


def test_damaged_exif_data_are_not_carried() -> None:
    for raw in (b"", b"nothing", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(30)):
        assert upright(Metadata(exif=raw), 1).exif is None


def test_the_resolution_is_turned_too() -> None:
    assert upright(Metadata(dpi=(300.0, 200.0)), 6).dpi == (200.0, 300.0)
    assert upright(Metadata(dpi=(300.0, 200.0)), 3).dpi == (300.0, 200.0)
