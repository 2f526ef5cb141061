"""PNG: exact at every depth and kind; Pillow is the oracle for 8 bits, OpenCV for 16."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from image_bytes import COLOUR_TYPE, chunk, noise, png_bytes, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io import png, png_chunks
from jdrl_lightning.io.image import header, read_image, read_picture, write_image
from jdrl_lightning.io.stored import Metadata


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_png_is_read_exactly(tmp_path: Path, depth: int, channels: int, interlaced: bool) -> None:
    pixels = noise(depth, channels)
    path = tmp_path / "a.png"
    # sBIT has one byte per channel: it must not break the decoding of grey with alpha as another kind
    path.write_bytes(png_bytes(pixels, chunk(b"sBIT", bytes([depth] * channels)), interlaced))
    picture = read_picture(path)
    colours = pixels[..., :3] if channels >= 3 else pixels[..., :1].repeat(3, axis=2)
    assert picture.image.dtype == (torch.uint8 if depth == 8 else torch.uint16)
    np.testing.assert_array_equal(rows_first(picture.image), colours)
    assert (picture.grey, picture.depth) == (channels < 3, depth)
    if channels % 2:
        assert picture.alpha is None
    else:
        assert picture.alpha is not None
        np.testing.assert_array_equal(rows_first(picture.alpha), pixels[..., -1:])
    assert header(path) == (13, 17, depth)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1"])
def test_eight_bit_png_equals_pillow(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(noise(8, 4)).convert(mode)
    image.save(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.png")), expected)
    assert header(tmp_path / "a.png") == (13, 17, 8)


def test_palette_with_transparency_keeps_alpha(tmp_path: Path) -> None:
    image = Image.fromarray(noise(8, 3)).quantize(16)
    image.save(tmp_path / "a.png", transparency=3)
    picture = read_picture(tmp_path / "a.png")
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[0].numpy() == 0, np.asarray(image) == 3)


def test_huge_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(png_bytes(noise(8, 3)))
    data[16:33] = b""
    head = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    bomb = bytes(data[:8]) + chunk(b"IHDR", head) + bytes(data[16:])
    (tmp_path / "a.png").write_bytes(bomb)
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_written_png_opens_in_pillow(tmp_path: Path, channels: int) -> None:
    pixels = noise(8, channels)
    image = torch.from_numpy(
        np.broadcast_to(pixels[..., : 3 if channels > 2 else 1], (13, 17, 3)).transpose(2, 0, 1).copy()
    )
    alpha = None if channels % 2 else torch.from_numpy(pixels[..., -1][None].copy())
    write_image(tmp_path / "a.png", image, alpha, grey=channels < 3, icc=b"profile")
    with Image.open(tmp_path / "a.png") as opened:
        assert opened.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
        assert opened.info["icc_profile"] == b"profile"
        np.testing.assert_array_equal(np.asarray(opened), pixels.squeeze())


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_an_encoded_file_is_decoded_by_opencv_and_back(depth: int, channels: int) -> None:
    pixels = noise(depth, channels)
    data = png.encode(pixels, icc=b"a profile" * 99)
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).reshape(13, 17, channels)
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]  # OpenCV's is blue, green, red, alpha
    np.testing.assert_array_equal(found[..., order], pixels)
    np.testing.assert_array_equal(png.decode(BytesIO(data)).pixels, pixels)
    head = png_chunks.read_head(BytesIO(data))
    assert head[:6] == (13, 17, depth, COLOUR_TYPE[channels], b"a profile" * 99, Metadata())


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_than_eight_bits_become_eight(bits: int) -> None:
    """Two rows of eight pixels that count from 0; grey levels scale to 0 to 255."""
    levels = np.arange(16).reshape(2, 8) % 2**bits
    rows = np.unpackbits(levels.astype(np.uint8)[..., None], axis=2)[..., -bits:].reshape(2, -1)
    raw = b"".join(b"\0" + np.packbits(row).tobytes() for row in rows)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 2, bits, 0, 0, 0, 0))
    data = png.SIGNATURE + head + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    np.testing.assert_array_equal(png.decode(BytesIO(data)).pixels, (levels * 255 // (2**bits - 1))[..., None])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a picture", "not a PNG"),
        (png.SIGNATURE, "truncated before the pixel data"),
        (png.SIGNATURE + struct.pack(">I4s", 2**25, b"iCCP"), "damaged metadata"),
        (png.SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b""), "no image size"),
        (png.SIGNATURE + chunk(b"IDAT", b""), "no image size"),
        (png.SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**20, 2**20, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b""),
         "1048576x1048576 pixels exceed the limit"),
        (png_bytes(noise(8, 3))[:-30], "."),
        (png_bytes(noise(8, 3)).replace(b"IDAT", b"IDOT"), "truncated before the pixel data"),
    ],
)  # fmt: skip
def test_damaged_data_is_a_value_error(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        png.decode(BytesIO(data))
