"""One limit for all formats, and no memory for what a file cannot hold."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_bytes import chunk, noise, png_bytes
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_image
from jdrl_lightning.io.limits import SETTING, check_data, check_pixels
from jdrl_lightning.io.stored import Unsupported

PNG = b"\x89PNG\r\n\x1a\n"


def resized(data: bytes, width: int, height: int) -> bytes:
    """A PNG whose header has another size."""
    return data[:8] + chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29]) + data[33:]


def write(path: Path) -> None:
    if path.suffix == ".tif":
        tifffile.imwrite(path, noise(8, 3, 120, 100), photometric="rgb")
    else:
        Image.fromarray(noise(8, 3, 120, 100)).save(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".avif", ".tif"])
def test_the_limit_is_the_same_for_all_formats_and_its_remedy_works(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"a{suffix}"
    write(path)
    monkeypatch.setenv(SETTING, "0.0119")
    for read in (header, read_image):
        with pytest.raises(UserError, match=r"100x120 pixels exceed the limit of 0\.0119 megapixels; set .*=1 if"):
            read(path)
    monkeypatch.setenv(SETTING, "1")
    assert read_image(path).shape == (3, 120, 100)


def test_a_limit_that_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, "many")
    with pytest.raises(UserError, match="JDRL_MAX_MEGAPIXELS=many: must be a number"):
        check_pixels(1, 1)


def test_pillow_s_own_limit_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".jpg", ".webp", ".avif", ".bmp"):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
        write(tmp_path / f"a{suffix}")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
        assert read_image(tmp_path / f"a{suffix}").shape == (3, 120, 100)


def test_a_jpeg_of_201_megapixels_passes_the_limit_and_300_are_it() -> None:
    check_pixels(12000, 16750)
    check_pixels(1, 300_000_000)
    with pytest.raises(Unsupported, match="JDRL_MAX_MEGAPIXELS=301 if"):
        check_pixels(1, 300_000_001)
    with pytest.raises(ValueError, match="no image size"):
        check_pixels(0, 5)


def promising_png() -> bytes:
    return resized(png_bytes(noise(16, 4)), 16384, 16384)


def promising_jpeg() -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(noise(8, 3)).save(stream, "JPEG")
    data = stream.getvalue()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 16000, 16000) + data[at + 4 :]


def promising_bmp() -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, 12000, 12000, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 154, 0, 0, 54) + head + bytes(100)


@pytest.mark.parametrize("make", [promising_png, promising_jpeg, promising_bmp])
def test_a_header_that_promises_too_much_is_refused_before_memory_is_taken(make: object, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(make())  # type: ignore[operator]
    read = pytest.raises(UserError, match=r"a\.png: cannot be read \(the header promises [\d,]+ bytes .* only [\d,]+\)")
    tracemalloc.start()
    try:
        with read:
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_what_compresses_well_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (6000, 4000), (1, 2, 3)).save(tmp_path / "a.png")
    Image.new("RGB", (6000, 4000), (1, 2, 3)).save(tmp_path / "a.jpg", progressive=True, subsampling=2, quality=5)
    for name in ("a.png", "a.jpg"):
        assert read_image(tmp_path / name).shape == (3, 4000, 6000)
    blank = np.zeros((4000, 6000), np.uint8)
    for compression in ("zlib", "lzw", "packbits"):
        tifffile.imwrite(tmp_path / "a.tif", blank, compression=compression)
        assert read_image(tmp_path / "a.tif").shape == (3, 4000, 6000)


def test_data_are_enough_or_not() -> None:
    check_data(10_320, 10, 1032)
    check_data(4096, 0, 1)
    with pytest.raises(ValueError, match=r"promises 20,000 bytes of pixels, but the file holds only 10"):
        check_data(20_000, 10, 1032)
