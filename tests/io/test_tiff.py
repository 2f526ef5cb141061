"""TIFF: exact at 8 and 16 bits in each layout and compression; other types are refused with a remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_bytes import lzw_tiff, noise, packed_tiff, planar_lzw_tiff, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io import tiff
from jdrl_lightning.io.image import header, read_image, read_picture, write_image


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


@pytest.mark.parametrize("compression", [None, "lzw", "packbits", "zlib", "lzma", "zstd"])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 3}, {"byteorder": ">"}, {"bigtiff": True}])
@pytest.mark.parametrize("depth", [8, 16])
def test_every_layout_in_every_compression(
    tmp_path: Path, compression: str | None, planar: bool, layout: dict[str, Any], depth: int
) -> None:
    pixels, path = noise(depth, 3, 35, 20), tmp_path / "a.tif"
    stored = pixels.transpose(2, 0, 1) if planar else pixels
    planes = "separate" if planar else "contig"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planes, compression=compression, **layout)
    np.testing.assert_array_equal(rows_first(read_image(path)), pixels)
    if depth == 8 and not planar:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    assert header(path) == (35, 20, depth)


@pytest.mark.parametrize("tiled", [False, True])
def test_planes_compressed_by_hand(tmp_path: Path, tiled: bool) -> None:
    """LZW planes that no library of ours has written; tifffile reads them the same."""
    pixels, path = noise(8, 3, 20, 20), tmp_path / "a.tif"
    path.write_bytes(planar_lzw_tiff(pixels, tiled))
    np.testing.assert_array_equal(tifffile.imread(path).transpose(1, 2, 0), pixels)
    np.testing.assert_array_equal(rows_first(read_image(path)), pixels)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_depths_are_scaled_to_16_bits(tmp_path: Path, bits: int, channels: int) -> None:
    path, top = tmp_path / "a.tif", 2**bits - 1
    values = (noise(16, channels).astype(int) >> (16 - bits)).astype(np.uint8 if bits < 8 else np.uint16)
    path.write_bytes(packed_tiff(values, bits))
    np.testing.assert_array_equal(tifffile.imread(path).reshape(values.shape), values)
    picture = read_picture(path)
    found = rows_first(picture.image)[..., :channels].astype(np.float64)
    assert (picture.depth, header(path)) == (16, (13, 17, 16))
    np.testing.assert_array_equal(np.rint(found * top / 65535), values)  # nothing is lost
    assert np.abs(found - values * (65535 / top)).max() <= 0.5


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (noise(16, 3).astype(np.uint32) * 65537, 1 / 65537),
        ((noise(16, 3) >> 1).astype(np.int16), 65535 / 32767),
        (noise(16, 1)[..., 0].astype(np.uint64) * (2**64 // 65535), 65535 / 2**64),
    ],
)
def test_wide_and_signed_integers(tmp_path: Path, values: Any, scale: float) -> None:
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if values.ndim == 3 else "minisblack")
    found = rows_first(read_image(tmp_path / "a.tif")).astype(np.float64)
    stored = tifffile.imread(tmp_path / "a.tif").reshape(13, 17, -1).astype(np.float64)
    assert np.abs(found - stored * scale).max() <= 0.5
    assert header(tmp_path / "a.tif").depth == 16


def test_negative_values_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((4, 5), -3, np.int16))
    with pytest.raises(UserError, match=r"a\.tif: values from -3: save it with 8 or 16 bits without sign"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"])
def test_eight_bits_equal_pillow(tmp_path: Path, mode: str, compression: str) -> None:
    if (compression == "group4") != (mode == "1") or (compression == "jpeg" and mode in ("LA", "RGBA", "P", "CMYK")):
        pytest.skip("libtiff does not write it")
    path = tmp_path / "a.tif"
    image = Image.fromarray(noise(8, 4)).convert("RGB" if mode == "P" else mode)
    (image.quantize(32) if mode == "P" else image).save(path, compression=compression)
    # Before 13 Pillow cannot read the YCbCr that it writes uncompressed.
    with image if (compression, mode) == ("raw", "YCbCr") else Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGBA"))
    picture = read_picture(path)
    found = rows_first(picture.image)
    assert picture.depth == (16 if mode == "1" else 8)
    # Two decoders of JPEG differ by a level.
    assert np.abs(found // (257 if mode == "1" else 1) - expected[..., :3].astype(int)).max() <= (compression == "jpeg")
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha[0].numpy(), expected[..., 3])
    assert header(path) == (13, 17, picture.depth)


def test_a_palette_of_16_bits_keeps_them(tmp_path: Path) -> None:
    table = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    indices = noise(8, 1)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=table)
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), table.T[indices])
    assert header(tmp_path / "a.tif") == (13, 17, 16)


def test_cmyk_of_16_bits(tmp_path: Path) -> None:
    inks = noise(16, 4)
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    cyan_magenta_yellow, black = 1 - inks[..., :3] / 65535, 1 - inks[..., 3:] / 65535
    found = rows_first(read_image(tmp_path / "a.tif"))
    assert np.abs(found - 65535 * cyan_magenta_yellow * black).max() <= 1


@pytest.mark.parametrize("depth", [8, 16])
def test_premultiplied_alpha_is_divided_out(tmp_path: Path, depth: int) -> None:
    """As Pillow does it, which cuts off where we round."""
    top, path = 2**depth - 1, tmp_path / "a.tif"
    straight = noise(depth, 4)
    alpha = straight[..., 3:].astype(np.float64)
    multiplied = np.concatenate([np.rint(straight[..., :3] * alpha / top), alpha], axis=2).astype(straight.dtype)
    tifffile.imwrite(path, multiplied, photometric="rgb", extrasamples=["assocalpha"])
    picture = read_picture(path)
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[0].numpy(), straight[..., 3])
    found = rows_first(picture.image).astype(np.float64)
    assert np.abs(found * alpha / top - multiplied[..., :3]).max() <= 0.5
    if depth == 8:
        seen = alpha[..., 0] > 0
        with Image.open(path) as opened:
            assert np.abs(np.asarray(opened.convert("RGBA"))[..., :3] - found)[seen].max() <= 1


@pytest.mark.parametrize("extra", [1, 2])
@pytest.mark.parametrize("grey", [False, True])
def test_channels_of_unspecified_meaning_are_carried(tmp_path: Path, extra: int, grey: bool) -> None:
    if grey and extra == 2:
        pytest.skip("is RGB")
    path, again, n_colours = tmp_path / "a.tif", tmp_path / "b.tif", 1 if grey else 3
    pixels = noise(16, n_colours + extra)
    photometric = "minisblack" if grey else "rgb"
    kinds = ["unspecified"] * extra
    tifffile.imwrite(path, pixels, photometric=photometric, extrasamples=kinds, planarconfig="contig")
    picture = read_picture(path)
    assert (picture.alpha, picture.grey) == (None, grey)
    assert picture.others is not None
    np.testing.assert_array_equal(rows_first(picture.others), pixels[..., n_colours:])
    write_image(again, picture.image, grey=grey, others=picture.others)
    with tifffile.TiffFile(again) as file:
        np.testing.assert_array_equal(file.pages.first.asarray(), pixels)
        assert [int(kind) for kind in file.pages.first.extrasamples] == [0] * extra
        assert file.pages.first.photometric == (1 if grey else 2)
    with pytest.raises(UserError, match=r"b\.png: cannot write a 16-bit image with . channels.*use \.tif"):
        write_image(tmp_path / "b.png", picture.image, grey=grey, others=picture.others)


def test_alpha_after_another_channel(tmp_path: Path) -> None:
    pixels = noise(8, 5)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    picture = read_picture(tmp_path / "a.tif")
    assert picture.alpha is not None
    assert picture.others is not None
    np.testing.assert_array_equal(picture.alpha[0].numpy(), pixels[..., 4])
    np.testing.assert_array_equal(picture.others[0].numpy(), pixels[..., 3])


def test_rgb_that_calls_itself_grey(tmp_path: Path) -> None:
    pixels = noise(8, 3)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.tif")), pixels)


def test_a_raw_file_by_another_name_says_so(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", noise(16, 1)[..., 0], photometric="cfa")
    with pytest.raises(UserError, match=r"a\.tif: raw data of a camera: give it its own suffix"):
        read_image(tmp_path / "a.tif")
