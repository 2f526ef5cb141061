from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from jdrl_lightning.app.viewer import Shown, show, viewer

NASTY = '"><script>alert(1)</script>'


def test_sixteen_bits_are_shown_in_eight(tmp_path: Path) -> None:
    deep = torch.randint(0, 65536, (3, 4, 5), generator=torch.Generator().manual_seed(0)).to(torch.uint16)
    assert show(deep, tmp_path / "a b.png") == f"/gradio_api/file={tmp_path}/a%20b.png"
    shown = np.asarray(Image.open(tmp_path / "a b.png"))
    assert np.array_equal(shown, np.round(deep.permute(1, 2, 0).numpy() / 257).astype(np.uint8))


def test_names_are_not_markup() -> None:
    element = viewer({"a": Shown(NASTY, NASTY), "b": Shown("b", "b")}, ("a", "b"), map=Shown(NASTY, NASTY))
    assert "<script" not in element
