"""The picture files that installed packages ship, and those of the folders in ``JDRL_PICTURES``, against Pillow."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from image_bytes import rows_first
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.folder import SUFFIXES
from jdrl_lightning.io.image import header, read_picture

SETTING = "JDRL_PICTURES"  # folders, separated as in PATH
PACKAGES = ("skimage", "matplotlib", "scipy", "sklearn", "imageio", "tifffile", "networkx", "sympy", "ipykernel")
# What Pillow and we read differently, and why; in Pillow's own tests.
OTHERWISE = {
    "16_bit_binary_pgm.tiff": "32-bit integers, whose white is not 65535",
    "8bit.s.tif": "negative values, which Pillow takes for positive ones",
    "separate_planar_extra_samples.tiff": "a plane is missing",
    "tiff_wrong_bits_per_sample_3.tiff": "a fourth channel that no tag calls alpha",
}
NOT_READ = ("LAB", "F")  # Pillow's modes: CIELAB, and float beyond [0, 1]


def found() -> list[Path]:
    site = Path(sysconfig.get_paths()["purelib"])
    folders = [site / name for name in PACKAGES] + [Path(p) for p in os.environ.get(SETTING, "").split(os.pathsep) if p]
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


@pytest.mark.filterwarnings("ignore")
def test_all_are_read_as_by_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**8)
    files = [path for path in found() if path.name not in OTHERWISE]
    if len(files) < 30:
        pytest.skip(f"only {len(files)} pictures are installed")
    compared, problems = 0, []
    for path in files:
        try:
            with Image.open(path) as image:
                mode, depth = image.mode, 16 if image.mode.startswith("I") else 8
                shown = ImageOps.exif_transpose(image)
                expected = np.asarray(shown if depth == 16 else shown.convert("RGBA"))
        except Exception:  # damaged on purpose, or not read by Pillow
            continue
        try:
            picture = read_picture(path)
        except UserError as error:
            if mode not in NOT_READ:
                problems.append(str(error))
            continue
        compared += 1
        assert header(path) == (*picture.image.shape[1:], picture.depth), path
        ours = rows_first(picture.image).astype(np.float64)
        if depth == 16:
            top = _top(path) if path.suffix.startswith(".tif") else 65535
            difference = np.abs(ours[..., 0] * top / 65535 - expected).max() * 255 / top
        else:
            scale = 257 if picture.depth == 16 else 1
            alpha = 255 if picture.alpha is None else rows_first(picture.alpha)[..., 0] / scale
            difference = np.abs(ours / scale - expected[..., :3]).max(axis=2)
            if picture.alpha is not None and scale > 1:  # Pillow cuts premultiplied colours to 8 bits, then divides
                difference = difference * alpha / 255 / 2
            difference = max(difference.max(), np.abs(alpha - expected[..., 3]).max())
        if difference > (1 if picture.depth == 16 or path.suffix.startswith(".tif") else 0):
            problems.append(f"{path}: differs by {difference}")
    print(f"{compared} pictures compared")
    assert not problems, "\n".join(problems)
    assert compared >= 30


def _top(path: Path) -> int:
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        return int(2 ** (page.bitspersample - (page.sampleformat == 2)) - 1)
