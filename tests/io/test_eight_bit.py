"""JPEG and BMP: Pillow's values; a written JPEG keeps its colour at full resolution."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from image_bytes import noise, rows_first
from jdrl_lightning.io import eight_bit
from jdrl_lightning.io.image import read_picture


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
