"""Which formats are written, and what each can hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.io.image import write_image
from jdrl_lightning.io.written import misfit, written_suffix


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.png", ".png"), ("a.JPG", ".JPG"), ("a.jfif", ".jfif"), ("a.tiff", ".tiff"), ("a.webp", ".png"),
     ("a.heic", ".png"), ("a.NEF", ".png"), ("a.mpo", ".png"), ("a", ".png")],
)  # fmt: skip
def test_a_format_that_is_not_written_becomes_png(name: str, suffix: str) -> None:
    assert written_suffix(Path(name)) == suffix


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".tif", ".webp", ""])
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("others", [0, 2])
def test_what_fits_is_written_and_what_does_not_is_refused(
    suffix: str, depth: int, alpha: bool, others: int, tmp_path: Path
) -> None:
    dtype = torch.uint8 if depth == 8 else torch.uint16
    path, image = tmp_path / f"a{suffix}", torch.zeros(3, 4, 5, dtype=dtype)
    more = torch.zeros(others, 4, 5, dtype=dtype) if others else None
    held = suffix == ".tif" or (not others and (suffix == ".png" or (suffix == ".JPG" and depth == 8 and not alpha)))
    assert (misfit(path, depth, alpha, others) is None) == held
    if held:
        write_image(path, image, image[:1] if alpha else None, others=more)
    else:
        with pytest.raises(UserError, match=rf"a{suffix}: cannot write an? {depth}-bit image.*; use .*\.tif"):
            write_image(path, image, image[:1] if alpha else None, others=more)
    assert path.exists() == held


def test_what_is_lost_is_named() -> None:
    assert misfit(Path("a.jpg"), 16, alpha=True) == ("a 16-bit image with alpha", ".png or .tif")
    assert misfit(Path("a.png"), 8, others=2) == ("an 8-bit image with 2 channels of unspecified meaning", ".tif")
