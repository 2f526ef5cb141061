"""EXIF data, XMP and resolution go from TIFF to TIFF; Pillow reads what is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from image_bytes import noise, rows_first
from jdrl_lightning.io.image import Metadata, read_picture, write_image
from jdrl_lightning.io.tiff_metadata import add_exif

IMAGE = torch.from_numpy(noise(16, 3).transpose(2, 0, 1).copy())
EXIF, GPS = 0x8769, 0x8825


def camera(endian: str = "<") -> bytes:
    exif = Image.Exif()
    exif.endian = endian
    exif[0x010F], exif[0x0110], exif[0x8298] = "A camera", "of a make", "its owner"
    exif.get_ifd(EXIF).update({0x829A: 0.008, 0x9003: "2026:11:29 12:00:00", 0x927C: b"the maker's own notes"})
    exif.get_ifd(GPS).update({1: "N", 2: (48.0, 8.0, 0.0)})
    return exif.tobytes()[6:]


@pytest.mark.parametrize("endian", "<>")
def test_what_is_written_is_read_by_pillow_and_by_us(endian: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_image(path, IMAGE, icc=b"a profile", metadata=Metadata(camera(endian), b"<x:xmpmeta/>", (300.0, 240.0)))
    np.testing.assert_array_equal(tifffile.imread(path), rows_first(IMAGE))
    picture = read_picture(path)
    assert (picture.icc, picture.metadata.xmp, picture.metadata.dpi) == (b"a profile", b"<x:xmpmeta/>", (300.0, 240.0))
    assert picture.metadata.exif is not None
    ours, expected = Image.Exif(), Image.Exif()
    ours.load(picture.metadata.exif)
    expected.load(camera())
    write_image(tmp_path / "8.tif", IMAGE.to(torch.uint8), metadata=picture.metadata)
    with Image.open(tmp_path / "8.tif") as opened:
        for found in (ours, opened.getexif()):
            assert [found[tag] for tag in (0x010F, 0x0110, 0x8298)] == ["A camera", "of a make", "its owner"]
            for directory in (EXIF, GPS):
                assert found.get_ifd(directory) == expected.get_ifd(directory)
        assert opened.info["dpi"] == (300.0, 240.0)


def test_resolution_per_centimetre(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 3), photometric="rgb", resolution=(100, 100), resolutionunit=3)
    assert read_picture(tmp_path / "a.tif").metadata.dpi == (254.0, 254.0)


def test_orientation_and_descriptions_of_the_layout_are_not_carried(tmp_path: Path) -> None:
    tags = [(274, "H", 1, 6, True), (315, "s", 0, "the artist", True)]
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 3), photometric="rgb", extratags=tags)  # describes its shape
    picture = read_picture(tmp_path / "a.tif")
    assert picture.image.shape == (3, 17, 13)
    exif = Image.Exif()
    exif.load(picture.metadata.exif or b"")
    assert dict(exif) == {315: "the artist", 305: "tifffile.py"}


def test_damaged_exif_data_are_left_out(tmp_path: Path) -> None:
    for number, exif in enumerate((b"MM\0*\0\0\0\x08", b"", bytes(40), b"II*\0" + bytes(range(200, 240)))):
        path = tmp_path / f"{number}.tif"
        write_image(path, IMAGE, metadata=Metadata(exif))
        np.testing.assert_array_equal(tifffile.imread(path), rows_first(IMAGE))
        assert read_picture(path).metadata.exif is None


def test_a_bigtiff_stays_without() -> None:
    assert add_exif(b"II+\0 and so on", camera()) == b"II+\0 and so on"
