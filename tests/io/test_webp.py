"""WebP: Pillow's values and metadata; the head is read without the picture."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from image_bytes import noise
from jdrl_lightning.io import webp

PIXELS = noise(8, 4, 23, 31)


def saved(mode: str = "RGB", **options: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(stream, "WEBP", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("options", [{}, {"lossless": True, "exact": True}, {"quality": 30, "method": 0}])
@pytest.mark.parametrize("carried", [False, True])
def test_it_equals_pillow(mode: str, options: dict[str, Any], carried: bool) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif, "icc_profile": b"a profile", "xmp": b"<x:xmpmeta/>"} if carried else {}
    data = saved(mode, **options, **more)
    found = webp.decode(BytesIO(data))
    with Image.open(BytesIO(data)) as opened:
        np.testing.assert_array_equal(found.pixels, np.asarray(opened))
        assert opened.info.get("exif") == found.metadata.exif
    assert (found.alpha, found.colours) == (mode == "RGBA", 3)
    assert (found.icc, found.metadata.xmp) == ((b"a profile", b"<x:xmpmeta/>") if carried else (None, None))
    assert webp.read_head(BytesIO(data)) == (23, 31, 8, 6 if carried else 1)


def test_the_first_of_an_animation_is_read_and_said() -> None:
    frames = [Image.fromarray(np.roll(PIXELS[..., :3], shift, axis=1)) for shift in (5, 9)]
    data = saved("RGB", lossless=True, save_all=True, append_images=frames)
    found = webp.decode(BytesIO(data))
    np.testing.assert_array_equal(found.pixels[..., :3], PIXELS[..., :3])
    assert found.remarks == ("holds 3 pictures; the first is read",)


def test_the_head_is_read_without_the_picture() -> None:
    data = saved(lossless=True)
    assert webp.read_head(BytesIO(data[:30])) == (23, 31, 8, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF\4\0\0\0WEBP", "no image size"),
        (b"RIFF\x16\0\0\0WEBPJUNK\x0a\0\0\0" + bytes(10), "no image size"),
        (b"RIFF\x16\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xff" * 6, "16777216x16777216 pixels exceed"),
    ],
)
def test_damaged_heads(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        webp.read_head(BytesIO(data))
