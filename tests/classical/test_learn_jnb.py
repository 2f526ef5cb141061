from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.classical import learn_jnb
from jdrl_lightning.classical.jnb import DICTIONARY
from jdrl_lightning.data.synthetic.photographs import Photograph


def test_the_command_writes_what_the_package_can_read(
    photo: Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = [
        Photograph("left", 1, lambda: photo[:, 50:200, 100:240].float() / 255),
        Photograph("blank", 2, lambda: torch.full((3, 100, 100), 0.5)),
    ]
    monkeypatch.setattr(learn_jnb, "from_scikit_image", lambda split: {"train": small}[split])
    monkeypatch.setattr(learn_jnb, "ROUNDS", 3)
    files = [tmp_path / name for name in ("first.npz", "second.npz")]
    for file in files:
        monkeypatch.setattr(sys, "argv", ["learn_jnb", "--output", str(file)])
        learn_jnb.main()
    assert files[0].read_bytes() == files[1].read_bytes()
    with np.load(files[0], allow_pickle=False) as content, np.load(DICTIONARY, allow_pickle=False) as shipped:
        assert content.files == shipped.files
        assert content["atoms"].dtype == shipped["atoms"].dtype
        assert bool((np.diff(content["needed"]) <= 0).all())
        assert "left, blank" in str(content["provenance"])
    assert "radius 7.0 px" in capsys.readouterr().out
