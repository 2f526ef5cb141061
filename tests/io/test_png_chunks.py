"""PNG's metadata: read before the pixels, carried into a written file; transparency; what is damaged is left out."""

from __future__ import annotations

import logging
import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from image_bytes import chunk, noise, png_bytes, rows_first
from jdrl_lightning.io import png_chunks
from jdrl_lightning.io.image import read_picture, write_image
from jdrl_lightning.io.stored import Metadata

COLOUR = (
    chunk(b"cICP", bytes([12, 16, 0, 1]))
    + chunk(b"sRGB", b"\0")
    + chunk(b"gAMA", struct.pack(">I", 45455))
    + chunk(b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000))
)
XMP = b'<x:xmpmeta xmlns:tiff="t"><d tiff:Orientation="6"/></x:xmpmeta>'


def camera(orientation: int = 6) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A camera"
    exif.get_ifd(0x8769)[0x829A] = 0.008
    return exif.tobytes()[6:]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_all_metadata_come_back(tmp_path: Path, depth: int, channels: int) -> None:
    more = COLOUR + chunk(b"pHYs", struct.pack(">IIB", 11811, 5906, 1)) + chunk(b"eXIf", camera())
    more += chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))
    (tmp_path / "a.png").write_bytes(png_bytes(noise(depth, channels), more))
    picture = read_picture(tmp_path / "a.png")
    assert picture.image.shape == (3, 17, 13)  # turned upright
    metadata = picture.metadata
    assert metadata.colour == COLOUR
    assert metadata.dpi == pytest.approx((150.0124, 299.9994), abs=1e-4)  # turned with it
    assert metadata.exif == camera(1)
    assert metadata.xmp == XMP.replace(b"6", b"1")
    write_image(tmp_path / "b.png", picture.image, picture.alpha, picture.grey, metadata=metadata)
    assert read_picture(tmp_path / "b.png").metadata == metadata
    with Image.open(tmp_path / "b.png") as opened:
        assert opened.info["xmp"] == metadata.xmp
        assert opened.getexif()[0x010F] == "A camera"
        assert opened.getexif().get_ifd(0x8769) == {0x829A: 0.008}
        assert opened.info["dpi"] == pytest.approx(metadata.dpi)
        assert opened.info["gamma"] == 0.45455
    assert b"pHYs" + struct.pack(">II", 5906, 11811) in (tmp_path / "b.png").read_bytes()


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_becomes_alpha(tmp_path: Path, depth: int, channels: int) -> None:
    pixels = noise(depth, channels)
    pixels[3:6] = key = np.arange(1, channels + 1)
    (tmp_path / "a.png").write_bytes(png_bytes(pixels, chunk(b"tRNS", struct.pack(f">{channels}H", *key))))
    picture = read_picture(tmp_path / "a.png")
    assert picture.alpha is not None
    np.testing.assert_array_equal(rows_first(picture.image)[..., :channels], pixels)
    opaque = (pixels != key).any(axis=2)
    np.testing.assert_array_equal(picture.alpha[0].numpy(), opaque * (2**depth - 1))
    if depth == 8:
        with Image.open(tmp_path / "a.png") as opened:
            np.testing.assert_array_equal(np.asarray(opened.convert("RGBA"))[..., 3], picture.alpha[0].numpy())


def test_a_damaged_profile_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = noise(8, 3)
    (tmp_path / "a.png").write_bytes(png_bytes(pixels, chunk(b"iCCP", b"a name\0\0not deflate")))
    with caplog.at_level(logging.WARNING):
        picture = read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(rows_first(picture.image), pixels)
    assert picture.icc is None
    assert "a.png: its colour profile is damaged; read without it" in caplog.text


def test_of_an_animation_the_first_is_read_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels = noise(8, 3)
    (tmp_path / "a.png").write_bytes(imagecodecs.apng_encode(np.stack([pixels, pixels[::-1]])))
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(rows_first(read_picture(tmp_path / "a.png").image), pixels)
    assert "a.png: holds 2 pictures; the first is read" in caplog.text


@pytest.mark.parametrize("compressed", [False, True])
def test_exif_data_as_imagemagick_wrote_them(compressed: bool) -> None:
    digits = (
        b"\nexif\n      " + str(len(camera()) + 6).encode() + b"\n" + (b"Exif\0\0" + camera()).hex().encode() + b"\n"
    )
    kind, body = (b"zTXt", b"\0" + zlib.compress(digits)) if compressed else (b"tEXt", digits)
    data = png_bytes(noise(8, 3), chunk(kind, b"Raw profile type exif\0" + body))
    assert png_chunks.read_head(BytesIO(data)).metadata == Metadata(exif=camera())


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0not deflate"),
        chunk(b"zTXt", b"Raw profile type exif\0\0not deflate"),
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n4\nxy"),
        chunk(b"pHYs", b"\0"), chunk(b"pHYs", bytes(8) + b"\0"),
    ],
)  # fmt: skip
def test_damaged_metadata_are_left_out(damaged: bytes) -> None:
    assert png_chunks.read_head(BytesIO(png_bytes(noise(8, 3), damaged))).metadata == Metadata()


@pytest.mark.parametrize(("depth", "colour"), [(8, 5), (3, 0), (0, 2), (255, 6)])
def test_kinds_that_do_not_exist(depth: int, colour: int) -> None:
    data = png_bytes(noise(8, 3))
    head = chunk(b"IHDR", data[16:24] + bytes([depth, colour]) + data[26:29])
    with pytest.raises(ValueError, match=f"no PNG has colour type {colour} with {depth} bits"):
        png_chunks.read_head(BytesIO(data[:8] + head + data[33:]))
