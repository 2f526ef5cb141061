"""A head read the short way is tifffile's; what is not usual, or damaged, is left to tifffile."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_bytes import lzw_tiff, noise
from jdrl_lightning.io import tiff
from jdrl_lightning.io.stored import Head
from jdrl_lightning.io.tiff_head import usual_head


def long_way(data: bytes) -> Head:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiff, "usual_head", lambda stream: None)
        return tiff.read_head(BytesIO(data))


def written(pixels: np.ndarray, **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, pixels, metadata=None, **options)
    return stream.getvalue()


@pytest.mark.parametrize("options", [
    {}, {"compression": "zlib", "predictor": 2}, {"byteorder": ">"}, {"planarconfig": "contig", "tile": (16, 16)},
    {"compression": "lzw"}, {"compression": "packbits"}, {"rowsperstrip": 3}, {"extratags": [(274, "H", 1, 6, True)]},
    {"extratags": [(700, "B", 31, b'<x tiff:Orientation="8"/>      ', True)]},
])  # fmt: skip
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_usual_files_are_read_as_tifffile_reads_them(depth: int, channels: int, options: dict[str, Any]) -> None:
    if channels == 1:
        options = {key: value for key, value in options.items() if key != "planarconfig"}
    data = written(noise(depth, channels).squeeze(), photometric="rgb" if channels > 1 else "minisblack", **options)
    assert usual_head(BytesIO(data)) == long_way(data)


def test_files_of_pillow_and_bytes() -> None:
    stream = BytesIO()
    Image.fromarray(noise(8, 3)).save(stream, "TIFF", compression="jpeg")
    for data in (stream.getvalue(), lzw_tiff(noise(16, 3))):
        assert usual_head(BytesIO(data)) == long_way(data)


@pytest.mark.parametrize(("pixels", "options"), [
    (noise(8, 1)[..., 0], {"photometric": "miniswhite"}),
    (noise(8, 1)[..., 0], {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)}),
    (noise(8, 4), {"photometric": "separated"}),
    (noise(8, 1)[..., 0] > 100, {}),
    (noise(16, 3).astype(np.float32) / 65535, {"photometric": "rgb"}),
    (noise(16, 1)[..., 0].astype(np.int16), {}),
    (noise(8, 3), {"photometric": "rgb", "subfiletype": 1}),
    (noise(8, 3), {"photometric": "rgb", "bigtiff": True}),
])  # fmt: skip
def test_other_kinds_are_left_to_tifffile(pixels: np.ndarray, options: dict[str, Any]) -> None:
    data = written(pixels, **options)
    assert usual_head(BytesIO(data)) is None
    assert long_way(data).depth in (8, 16)


def test_a_thumbnail_before_the_picture_is_left_to_tifffile(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(noise(8, 3)[:4, :4], photometric="rgb", subfiletype=1, metadata=None)
        file.write(noise(8, 3), photometric="rgb", metadata=None)
    data = (tmp_path / "a.tif").read_bytes()
    assert usual_head(BytesIO(data)) is None
    assert tiff.read_head(BytesIO(data)) == (13, 17, 8, 1)


def test_damaged_files_have_tifffile_s_head_or_none(recwarn: pytest.WarningsRecorder) -> None:
    """A byte of the header is changed, or the file ends early."""
    rng = np.random.default_rng(0)
    whole, found = tiff.encode(noise(16, 3)), 0
    directory = int.from_bytes(whole[4:8], "little")
    for _ in range(1500):
        data = bytearray(whole)
        data[rng.choice([rng.integers(0, 8), rng.integers(directory, directory + 190)])] = rng.integers(256)
        data = data[: rng.integers(len(data))] if rng.random() < 0.1 else data
        head = usual_head(BytesIO(bytes(data)))
        if head is None:
            continue
        try:
            expected = long_way(bytes(data))
        except Exception:  # the decoder refuses it in its turn
            continue
        assert head == expected
        found += 1
    assert found > 300
    assert not recwarn.list
