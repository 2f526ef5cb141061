"""Raw files of cameras: what LibRaw develops, here from a small DNG."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from image_bytes import noise, rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, read_picture

rawpy = pytest.importorskip("rawpy")


def dng(path: Path, orientation: int = 1) -> None:
    """A thumbnail, and as its subpage a mosaic of 64×80 px."""
    matrix = [part for value in (1, 0, 0, 0, 1, 0, 0, 0, 1) for part in (value, 1)]
    of_the_file = [
        (50706, "B", 4, bytes([1, 4, 0, 0]), True), (50708, "s", 0, "A camera", True),
        (50721, "2i", 9, matrix, True), (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True), (271, "s", 0, "A maker", True),
        (274, "H", 1, orientation, True),
    ]  # fmt: skip
    of_the_mosaic = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]
    mosaic = np.add.outer(np.arange(64), np.arange(80)).astype(np.uint16) * 400
    with tifffile.TiffWriter(path) as file:
        file.write(noise(8, 3), photometric="rgb", subfiletype=1, subifds=1, extratags=of_the_file)
        file.write(mosaic, photometric="cfa", extratags=of_the_mosaic)


@pytest.mark.parametrize(("orientation", "size"), [(1, (64, 80)), (3, (64, 80)), (6, (80, 64)), (8, (80, 64))])
def test_the_picture_is_developed_and_not_its_thumbnail(
    orientation: int, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.dng"
    dng(path, orientation)
    picture = read_picture(path)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    np.testing.assert_array_equal(rows_first(picture.image), expected)
    assert picture.image.shape[1:] == size
    assert header(path) == (*size, 16)
    assert b"A maker" in (picture.metadata.exif or b"")


def test_a_damaged_raw_file(tmp_path: Path) -> None:
    (tmp_path / "a.cr2").write_bytes(b"II*\0" + bytes(100))
    for read in (read_picture, header):
        with pytest.raises(UserError, match=r"a\.cr2: cannot be read"):
            read(tmp_path / "a.cr2")
