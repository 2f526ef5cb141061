"""Image reading and writing by suffix and content, and one-line errors for damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from image_bytes import lzw_tiff, noise, png_bytes, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, image_files, read_image, read_picture, write_image


def test_the_format_is_detected_by_content(tmp_path: Path) -> None:
    pixels = noise(16, 3)
    (tmp_path / "a.jpg").write_bytes(png_bytes(pixels))
    np.testing.assert_array_equal(rows_first(read_image(tmp_path / "a.jpg")), pixels)


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


def test_image_files_are_sorted_and_visible(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.tiff", ".hidden.png", "._a.jpg", "notes.txt", "c.jpeg"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in image_files(tmp_path)] == ["a.tiff", "b.PNG", "c.jpeg"]
