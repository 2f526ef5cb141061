"""Image reading and writing: Pillow is the oracle for 8 bits; 16-bit files are built here byte by byte."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, image_files, read_image, read_picture, write_image
from jdrl_lightning.types import to_float, to_uint

Array = NDArray[Any]
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def noise(depth: int, channels: int, height: int = 13, width: int = 17) -> Array:
    dtype = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(depth + channels).integers(0, 2**depth, (height, width, channels)).astype(dtype)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bytes(pixels: Array, more: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG with unfiltered rows, or with the seven passes of Adam7."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in adam7 if interlaced else [(0, 0, 1, 1)]:
        for row in pixels[top::down, left::right]:
            raw += b"\0" + row.astype(f">u{depth // 8}").tobytes()
    head = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[channels], 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def lzw(data: bytes) -> bytes:
    """TIFF's LZW without compression: 9-bit codes, with the table cleared before it needs ten bits."""
    codes = []
    for i, byte in enumerate(data):
        if i % 200 == 0:
            codes.append(256)
        codes.append(byte)
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def lzw_tiff(pixels: Array) -> bytes:
    """A 16-bit RGB TIFF, LZW-compressed, in one strip."""
    height, width, _ = pixels.shape
    strip = lzw(pixels.astype("<u2").tobytes())
    n_tags = 10
    end = 8 + 2 + 12 * n_tags + 4
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, end), (259, 3, 1, 5), (262, 3, 1, 2),
        (273, 4, 1, end + 6), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(strip)), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", n_tags) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + strip


def rows_first(image: torch.Tensor) -> Array:
    return image.permute(1, 2, 0).numpy()


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


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_equals_pillow(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise(8, 3)).convert(mode).save(tmp_path / "a.jpg")
    expected = np.asarray(Image.open(tmp_path / "a.jpg").convert("RGB"))
    picture = read_picture(tmp_path / "a.jpg")
    np.testing.assert_array_equal(rows_first(picture.image), expected)
    assert picture.grey == (mode == "L")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, suffix: str, orientation: int) -> None:
    from PIL import ImageOps

    path = tmp_path / f"a{suffix}"
    stored = Image.fromarray(noise(8, 3))
    if suffix == ".tif":
        tags = [(274, "H", 1, orientation, True)]
        tifffile.imwrite(path, np.asarray(stored), photometric="rgb", extratags=tags, metadata=None)
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(rows_first(read_image(path)), expected)
    assert header(path)[:2] == expected.shape[:2]


@pytest.mark.parametrize("value", [0, 9, 77])
def test_invalid_orientation_is_ignored(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    Image.fromarray(noise(8, 3)).save(tmp_path / "a.jpg", exif=exif)
    assert header(tmp_path / "a.jpg")[:2] == (13, 17)
    assert read_image(tmp_path / "a.jpg").shape == (3, 13, 17)


def test_the_format_is_detected_by_content(tmp_path: Path) -> None:
    pixels = noise(16, 3)
    (tmp_path / "a.jpg").write_bytes(png_bytes(pixels))
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.jpg")), pixels)


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


@pytest.mark.parametrize("dtype", [np.uint32, np.int16, np.complex64])
def test_tiff_of_other_types(tmp_path: Path, dtype: Any) -> None:
    tifffile.imwrite(tmp_path / "bad.tif", np.ones((4, 5), dtype))
    with pytest.raises(UserError, match=r"bad\.tif.*8 or 16 bits"):
        read_image(tmp_path / "bad.tif")


def files_of_each_kind(folder: Path) -> list[Path]:
    big = noise(16, 3, 60, 70)
    (folder / "rgb16.png").write_bytes(png_bytes(big))
    (folder / "grey_alpha.png").write_bytes(png_bytes(noise(16, 2, 60, 70)))
    Image.fromarray(noise(8, 3, 60, 70)).quantize(16).save(folder / "palette.png")
    Image.fromarray(noise(8, 3, 60, 70)).save(folder / "a.jpg")
    tifffile.imwrite(folder / "plain.tif", big, photometric="rgb")
    tifffile.imwrite(folder / "zip.tif", big, photometric="rgb", compression="zlib")
    (folder / "lzw.tif").write_bytes(lzw_tiff(big))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_truncated_files(tmp_path: Path, share: float) -> None:
    for path in files_of_each_kind(tmp_path):
        read_image(path)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(UserError, match=path.name) as raised:
            read_image(path)
        assert "\n" not in str(raised.value)


def test_damaged_files_raise_or_read_but_never_crash(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for path in files_of_each_kind(tmp_path):
        data = path.read_bytes()
        for _ in range(25):
            damaged = bytearray(data)
            for position in rng.integers(0, len(data), 3):
                damaged[position] = rng.integers(256)
            for position in rng.integers(8, min(200, len(data)), 2):
                damaged[position] = rng.integers(256)
            path.write_bytes(damaged)
            for read in (read_image, header):
                try:
                    read(path)
                except UserError as error:
                    assert path.name in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_empty_and_missing_and_foreign_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for read in (read_image, header):
        with pytest.raises(UserError, match="no such file"):
            read(path)
        path.write_bytes(b"")
        with pytest.raises(UserError, match=rf"{name}.*empty"):
            read(path)
        path.write_bytes(b"this is a letter, not a picture")
        with pytest.raises(UserError, match=name):
            read(path)
        path.unlink()


def test_huge_size_is_refused(tmp_path: Path) -> None:
    data = bytearray(png_bytes(noise(8, 3)))
    data[16:33] = b""
    head = struct.pack(">IIBBBBB", 2**30, 2**30, 8, 2, 0, 0, 0)
    bomb = bytes(data[:8]) + chunk(b"IHDR", head) + bytes(data[16:])
    (tmp_path / "a.png").write_bytes(bomb)
    with pytest.raises(UserError, match=r"a\.png"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("with_alpha", [False, True])
@pytest.mark.parametrize("icc", [None, b"a colour profile" * 50])
def test_round_trip(tmp_path: Path, suffix: str, depth: int, grey: bool, with_alpha: bool, icc: bytes | None) -> None:
    pixels = torch.from_numpy(noise(depth, 4).transpose(2, 0, 1).copy())
    image = pixels[:1].repeat(3, 1, 1) if grey else pixels[:3]
    alpha = pixels[3:] if with_alpha else None
    path = tmp_path / "made" / f"a{suffix}"
    write_image(path, image, alpha, grey=grey, icc=icc)
    picture = read_picture(path)
    assert torch.equal(picture.image, image)
    assert (picture.alpha is None) == (alpha is None)
    if alpha is not None:
        assert picture.alpha is not None
        assert torch.equal(picture.alpha, alpha)
    assert (picture.grey, picture.icc, picture.depth) == (grey, icc, depth)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


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


def test_grey_is_the_rounded_mean(tmp_path: Path) -> None:
    image = torch.tensor([65535, 65534, 65534], dtype=torch.int32).to(torch.uint16).view(3, 1, 1)
    write_image(tmp_path / "a.png", image, grey=True)
    assert read_image(tmp_path / "a.png").flatten().tolist() == [65534] * 3


def test_jpeg_is_written_for_8_bits_only(tmp_path: Path) -> None:
    smooth = np.indices((32, 32)).sum(0)[None].repeat(3, axis=0).astype(np.uint8) * 4
    image = torch.from_numpy(smooth)
    write_image(tmp_path / "a.jpg", image, icc=b"profile")
    assert (read_image(tmp_path / "a.jpg").int() - image.int()).abs().max() <= 4
    assert read_picture(tmp_path / "a.jpg").icc == b"profile"
    write_image(tmp_path / "g.jpg", image, grey=True)
    assert read_picture(tmp_path / "g.jpg").grey
    with pytest.raises(UserError, match=r"16-bit.*\.png"):
        write_image(tmp_path / "b.jpg", image.to(torch.uint16))
    with pytest.raises(UserError, match="alpha"):
        write_image(tmp_path / "b.jpg", image, image[:1])
    with pytest.raises(UserError, match="suffix"):
        write_image(tmp_path / "b", image)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.zeros(3, 4, 4, dtype=torch.uint8)
    write_image(tmp_path / "a.png", image)

    def full_disk(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_image(tmp_path / "a.png", image + 1)
    assert torch.equal(read_image(tmp_path / "a.png"), image)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("depth", [8, 16])
def test_integers_to_float_and_back(depth: int) -> None:
    levels = torch.arange(2**depth, dtype=torch.int32).to(torch.uint8 if depth == 8 else torch.uint16).view(1, 1, -1)
    floats = to_float(levels)
    assert floats.dtype == torch.float32
    assert (floats.min(), floats.max()) == (0, 1)
    assert torch.equal(to_uint(floats, depth), levels)
    assert to_float(floats) is floats


def test_to_uint_rounds_and_clamps() -> None:
    values = torch.tensor([-0.1, 0.4999 / 255, 0.5001 / 255, 254.6 / 255, 1.7])
    assert to_uint(values, 8).tolist() == [0, 0, 1, 255, 255]
    with pytest.raises(ValueError, match="NaN"):
        to_uint(torch.tensor([float("nan")]), 8)


def test_image_files_are_sorted_and_visible(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.tiff", ".hidden.png", "._a.jpg", "notes.txt", "c.jpeg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.tiff", "b.PNG", "c.jpeg"]
