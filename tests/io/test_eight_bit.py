"""JPEG and BMP: Pillow's values; a written JPEG keeps its colour at full resolution."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, JpegImagePlugin

from image_bytes import noise, rows_first
from jdrl_lightning.io import eight_bit
from jdrl_lightning.io.image import Metadata, read_picture, write_image


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_equals_pillow(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise(8, 3)).convert(mode).save(tmp_path / "a.jpg")
    expected = np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB"))
    picture = read_picture(tmp_path / "a.jpg")
    np.testing.assert_array_equal(rows_first(picture.image), expected)
    assert picture.grey == (mode == "L")


@pytest.mark.parametrize("form", ["BMP", "AVIF", "JPEG"])
def test_pixels_profile_and_orientation(form: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    more: dict[str, Any] = {} if form == "BMP" else {"exif": exif, "icc_profile": b"a profile"}
    stream = BytesIO()
    Image.fromarray(noise(8, 3)).save(stream, form, **more)
    stream.seek(0)
    found = eight_bit.decode(stream)
    np.testing.assert_array_equal(found.pixels, np.asarray(Image.open(stream).convert("RGB")))
    assert (found.icc, found.orientation) == ((None, 1) if form == "BMP" else (b"a profile", 6))
    stream.seek(0)
    assert eight_bit.read_head(stream) == (13, 17, 8, found.orientation)


def test_other_formats_are_not_read() -> None:
    """GIF has a decoder in Pillow, but a palette for each image: it is no format of photographs."""
    stream = BytesIO()
    Image.fromarray(noise(8, 3)).save(stream, "GIF")
    with pytest.raises(Image.UnidentifiedImageError):
        eight_bit.decode(BytesIO(stream.getvalue()))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_written_jpeg_has_full_colour_resolution(channels: int) -> None:
    smooth = np.indices((32, 32)).sum(0)[..., None].repeat(channels, axis=2).astype(np.uint8) * 4
    with Image.open(BytesIO(eight_bit.encode_jpeg(smooth, b"a profile"))) as image:
        assert image.mode == {1: "L", 3: "RGB"}[channels]
        assert image.info["icc_profile"] == b"a profile"
        assert np.abs(np.asarray(image).reshape(smooth.shape).astype(int) - smooth).max() <= 4
        if channels == 3:
            assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


def test_metadata_of_a_jpeg_come_back(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    exif.get_ifd(0x8769)[0x927C] = b"the maker's own notes"
    Image.fromarray(noise(8, 3)).save(tmp_path / "a.jpg", exif=exif, xmp=b"<x:xmpmeta/>", dpi=(300, 240))
    first = read_picture(tmp_path / "a.jpg")
    assert first.image.shape == (3, 17, 13)
    assert first.metadata.dpi == (240.0, 300.0)
    write_image(tmp_path / "b.jpg", first.image, metadata=first.metadata)
    assert read_picture(tmp_path / "b.jpg").metadata == first.metadata
    with Image.open(tmp_path / "b.jpg") as opened:
        assert opened.getexif()[0x010F] == "A camera"
        assert opened.getexif().get_ifd(0x8769)[0x927C] == b"the maker's own notes"
        assert opened.getexif()[0x0112] == 1
        assert (opened.info["xmp"], opened.info["dpi"]) == (b"<x:xmpmeta/>", (240, 300))


def test_a_resolution_that_pillow_makes_up_is_not_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    Image.fromarray(noise(8, 3)).save(tmp_path / "a.jpg", exif=exif)
    assert read_picture(tmp_path / "a.jpg").metadata.dpi is None


def test_metadata_that_no_jpeg_can_hold_are_left_out(tmp_path: Path) -> None:
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    write_image(tmp_path / "a.jpg", image, metadata=Metadata(b"MM\0*" + bytes(70_000), b" " * 70_000, (1.0, 1.0)))
    assert read_picture(tmp_path / "a.jpg").metadata == Metadata(dpi=(1.0, 1.0))


def test_of_several_pictures_the_first_is_read_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = (Image.fromarray(noise(8, channels)[..., :3]) for channels in (3, 4))
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    with Image.open(tmp_path / "a.jpg") as opened, caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(rows_first(read_picture(tmp_path / "a.jpg").image), np.asarray(opened))
    assert "a.jpg: holds 2 pictures; the first is read" in caplog.text


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JPG"])
def test_other_suffixes_of_jpeg_are_written(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a{suffix}", torch.zeros(3, 8, 8, dtype=torch.uint8))
    with Image.open(tmp_path / f"a{suffix}") as opened:
        assert opened.format == "JPEG"


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp_equals_pillow(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise(8, 4)).convert(mode).save(tmp_path / "a.bmp")
    with Image.open(tmp_path / "a.bmp") as opened:
        np.testing.assert_array_equal(rows_first(read_picture(tmp_path / "a.bmp").image), opened.convert("RGB"))
