"""AVIF and HEIC: what their libraries decode, in 8 bits or 16."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from image_bytes import noise, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io import heif
from jdrl_lightning.io.image import header, read_picture


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_avif_equals_pillow(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "a.avif"
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(noise(8, 4)).convert(mode).save(path, exif=exif, icc_profile=b"a profile", xmp=b"<x:xmpmeta/>")
    picture = read_picture(path)
    with Image.open(path) as opened:
        expected = np.asarray(opened.convert("RGBA"))[::-1, ::-1]
    np.testing.assert_array_equal(rows_first(picture.image), expected[..., :3])
    assert (picture.alpha is not None) == (mode == "RGBA")
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha[0].numpy(), expected[..., 3])
    assert (picture.icc, picture.metadata.xmp, picture.grey) == (b"a profile", b"<x:xmpmeta/>", mode == "L")
    assert header(path) == (13, 17, 8)


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_avif_is_not_cut_to_8_bits(tmp_path: Path, bits: int, channels: int) -> None:
    values = noise(16, channels) >> (16 - bits)
    path, top = tmp_path / "a.avif", 2**bits - 1
    path.write_bytes(imagecodecs.avif_encode(values.squeeze(), level=100, bitspersample=bits))
    picture = read_picture(path)
    found = rows_first(picture.image)[..., : min(channels, 3)]
    np.testing.assert_array_equal(np.rint(found * (top / 65535)), values[..., :3])
    assert (picture.depth, header(path)) == (16, (13, 17, 16))
    assert (picture.alpha is not None) == (channels == 4)


def heic(pixels: Any, **options: Any) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    stream = BytesIO()
    if pixels.dtype == np.uint16:
        size = pixels.shape[1::-1]
        image = pillow_heif.from_bytes(mode="RGB;16", size=size, data=np.ascontiguousarray(pixels).tobytes())
    else:
        image = pillow_heif.from_pillow(Image.fromarray(pixels))
    image.save(stream, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return stream.getvalue()


def test_heic_of_8_bits(tmp_path: Path) -> None:
    pixels, path = noise(8, 3, 64, 80), tmp_path / "a.heic"
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    path.write_bytes(heic(pixels, exif=exif.tobytes(), xmp=b"<x:xmpmeta/>"))
    picture = read_picture(path)
    np.testing.assert_array_equal(rows_first(picture.image), pixels)
    assert header(path) == (64, 80, 8)
    assert (picture.metadata.xmp, picture.grey, picture.alpha) == (b"<x:xmpmeta/>", False, None)
    found = Image.Exif()
    found.load(picture.metadata.exif or b"")
    assert found[0x010F] == "A camera"


def test_heic_of_10_bits(tmp_path: Path) -> None:
    values, path = noise(16, 3, 64, 80) >> 6, tmp_path / "a.heic"
    path.write_bytes(heic(values << 6))
    picture = read_picture(path)
    np.testing.assert_array_equal(np.rint(rows_first(picture.image) * (1023 / 65535)), values)
    assert (picture.depth, header(path)) == (16, (64, 80, 16))


def test_heic_is_detected_by_content_and_by_its_orientation_turned_once(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels, path = noise(8, 3, 64, 80), tmp_path / "a.jpg"
    image = pillow_heif.from_pillow(Image.fromarray(pixels))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.info["exif"] = exif.tobytes()
    stream = BytesIO()
    image.save(stream, quality=-1, chroma=444, matrix_coefficients=0)
    path.write_bytes(stream.getvalue())
    stream.seek(0)
    upright = np.asarray(pillow_heif.open_heif(stream))
    np.testing.assert_array_equal(rows_first(read_picture(path).image), upright)
    assert header(path)[:2] == upright.shape[:2]


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (tmp_path / "a.nef").write_bytes(b"II*\0" + bytes(100))

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(heif, "import_module", missing)
    with pytest.raises(UserError, match=r"a\.heic: HEIC needs pillow_heif: pip install 'jdrl_lightning\[formats\]'"):
        read_picture(tmp_path / "a.heic")
    with pytest.raises(UserError, match=r"a\.nef: a raw file needs rawpy: pip install 'jdrl_lightning\[formats\]'"):
        header(tmp_path / "a.nef")
