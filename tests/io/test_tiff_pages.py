"""The page that is the picture; others are counted, and what a file cannot hold is refused."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from image_bytes import noise, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.io.tiff_pages import first_full_size, how_many_full_size

BIG, SMALL = noise(16, 3, 40, 48), noise(8, 3, 10, 12)


def thumbnail_first(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(SMALL, photometric="rgb", subfiletype=1)
        file.write(BIG, photometric="rgb", subfiletype=0)


def picture_in_a_subpage(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(SMALL, photometric="rgb", subfiletype=1, subifds=1)
        file.write(BIG, photometric="rgb")


def pyramid(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(BIG, photometric="rgb", subifds=2)
        for level in (2, 4):
            file.write(BIG[::level, ::level], photometric="rgb", subfiletype=1)


def with_a_mask(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(BIG, photometric="rgb")
        file.write(np.zeros((40, 48), bool), photometric="mask", subfiletype=4)


def old_tag(path: Path) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(SMALL, photometric="rgb", extratags=[(255, "H", 1, 2, True)])
        file.write(BIG, photometric="rgb")


@pytest.mark.parametrize("write", [thumbnail_first, picture_in_a_subpage, pyramid, with_a_mask, old_tag])
def test_the_full_size_page_is_read(write: object, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.tif"
    write(path)  # type: ignore[operator]
    np.testing.assert_array_equal(rows_first(read_image(path)), BIG)
    assert header(path) == (40, 48, 16)
    assert not caplog.records
    with tifffile.TiffFile(path) as file:
        assert first_full_size(file).shape == (40, 48, 3)
        assert how_many_full_size(file) == 1


def test_of_several_pages_the_first_is_read_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for shift in range(3):
            file.write(np.roll(BIG, shift, axis=0), photometric="rgb", contiguous=False)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), BIG)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"{tmp_path / 'a.tif'}: holds 3 pictures; the first is read"


def test_only_thumbnails_are_better_than_nothing(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SMALL, photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), SMALL)


def changed(data: bytes, tag: int, value: int) -> bytes:
    """The value of a 32-bit tag of tifffile's only page, which has one."""
    with tifffile.TiffFile(__import__("io").BytesIO(data)) as file:
        at = file.pages.first.tags[tag].offset
    return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_a_size_that_the_data_cannot_hold(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, BIG, photometric="rgb", compression=compression, metadata=None)
    data = changed(changed(path.read_bytes(), 256, 16000), 278, 16000)
    path.write_bytes(changed(data, 257, 16000))
    with pytest.raises(UserError, match=r"a\.tif: cannot be read \(the header promises .* bytes of pixels"):
        read_image(path)


@pytest.mark.parametrize("tag", [322, 323])
def test_tiles_that_are_too_large(tmp_path: Path, tag: int) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, BIG, photometric="rgb", compression="lzma", tile=(64, 64), metadata=None)
    path.write_bytes(changed(path.read_bytes(), tag, 2**31))
    with pytest.raises(UserError, match=r"a\.tif"):
        read_image(path)


def test_too_many_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 9), photometric="minisblack", planarconfig="contig")
    with pytest.raises(UserError, match=r"a\.tif: TIFF of 9 channels and depth 1: save it as RGB or grey"):
        read_image(tmp_path / "a.tif")
