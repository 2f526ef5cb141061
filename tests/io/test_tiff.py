"""TIFF: exact at 8 and 16 bits in each layout and compression; other types are refused with a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_bytes import lzw_tiff, noise, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io import tiff
from jdrl_lightning.io.image import header, read_image, read_picture


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": 2}, {"byteorder": ">"}]
)
def test_tiff_is_read_exactly(tmp_path: Path, depth: int, channels: int, options: dict[str, Any]) -> None:
    pixels = noise(depth, channels)
    path = tmp_path / "a.tif"
    extra = ["unassalpha"] if channels == 4 else None
    photometric = "minisblack" if channels == 1 else "rgb"
    tifffile.imwrite(path, pixels.squeeze(), photometric=photometric, extrasamples=extra, metadata=None, **options)
    picture = read_picture(path)
    assert picture.depth == depth
    np.testing.assert_array_equal(rows_first(picture.image), np.broadcast_to(pixels[..., :3], (13, 17, 3)))
    assert (picture.alpha is not None) == (channels == 4)
    if picture.alpha is not None:
        np.testing.assert_array_equal(rows_first(picture.alpha), pixels[..., 3:])
    assert header(path) == (13, 17, depth)


def test_planar_tiff(tmp_path: Path) -> None:
    pixels = noise(16, 3).transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").numpy(), pixels)


def test_inverted_grey_tiff(tmp_path: Path) -> None:
    pixels = noise(16, 1)
    tifffile.imwrite(tmp_path / "a.tif", pixels[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif"))[..., :1], 65535 - pixels)


def test_lzw_tiff_of_16_bits(tmp_path: Path) -> None:
    pixels = noise(16, 3)
    (tmp_path / "a.tif").write_bytes(lzw_tiff(pixels))
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), pixels)


def test_lzw_tiff_of_8_bits(tmp_path: Path) -> None:
    pixels = noise(8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), pixels)


def test_float_tiff_becomes_16_bits(tmp_path: Path) -> None:
    pixels = noise(16, 3)
    nudged = pixels / 65535 + np.random.default_rng(0).uniform(-0.4, 0.4, pixels.shape) / 65535
    tifffile.imwrite(tmp_path / "a.tif", nudged.clip(0, 1).astype(np.float32), photometric="rgb")
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), pixels)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "NaN"), (np.inf, "NaN"), (1.5, "1.5"), (-0.25, "-0.25")])
def test_float_tiff_with_invalid_values(tmp_path: Path, value: float, word: str) -> None:
    pixels = np.full((4, 5, 3), 0.5, np.float32)
    pixels[1, 2, 0] = value
    tifffile.imwrite(tmp_path / "bad.tif", pixels, photometric="rgb")
    with pytest.raises(UserError, match=rf"bad\.tif.*{word}"):
        read_image(tmp_path / "bad.tif")


def test_tiff_of_complex_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "bad.tif", np.ones((4, 5), np.complex64))
    with pytest.raises(UserError, match=r"bad\.tif.*8 or 16 bits"):
        read_image(tmp_path / "bad.tif")


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_an_encoded_file_is_read_by_tifffile(depth: int, channels: int, tmp_path: Path) -> None:
    pixels, path = noise(depth, channels), tmp_path / "a.tif"
    path.write_bytes(tiff.encode(pixels, icc=b"a profile"))
    with tifffile.TiffFile(path) as file:
        (page,) = file.pages
        np.testing.assert_array_equal(page.asarray().reshape(13, 17, channels), pixels)
        assert page.iccprofile == b"a profile"
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert (len(page.extrasamples) == 1) == (channels in (2, 4))
    with path.open("rb") as stream:
        found = tiff.decode(stream)
        np.testing.assert_array_equal(found.pixels, pixels)
        assert (found.icc, found.orientation) == (b"a profile", 1)
        stream.seek(0)
        assert tiff.read_head(stream) == (13, 17, depth, 1)


@pytest.mark.parametrize("photometric", ["cielab", "icclab", "logluv"])
def test_a_colour_space_that_is_not_converted_is_refused(tmp_path: Path, photometric: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 3), photometric=photometric)
    with pytest.raises(UserError, match=rf"a\.tif: {photometric.upper()} TIFF: save it as RGB or grey"):
        read_image(tmp_path / "a.tif")
