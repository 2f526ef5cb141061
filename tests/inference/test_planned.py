"""What cannot be restored, or would be overwritten, is found before the first file is restored."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.inference.planned import planned
from jdrl_lightning.io.image import write_image


def test_what_cannot_be_restored_is_found_before_the_first_is(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    (tmp_path / "b.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"b\.png: the file is empty"):
        planned(tmp_path, tmp_path / "out", overwrite=False)
    write_image(tmp_path / "b.png", photo[:, :20, :20].to(torch.int32).mul(257).to(torch.uint16))
    (tmp_path / "b.png").rename(tmp_path / "b.jpg")
    with pytest.raises(UserError, match=r"b\.jpg: a 16-bit picture, which .*out/b\.jpg cannot hold"):
        planned(tmp_path, tmp_path / "out", overwrite=False)


def test_nothing_is_overwritten_without_overwrite(tmp_path: Path, photo: torch.Tensor) -> None:
    write_image(tmp_path / "a.png", photo[:, :20, :20])
    (tmp_path / "out").mkdir()
    assert planned(tmp_path / "a.png", tmp_path / "out", overwrite=False) == [
        (tmp_path / "a.png", tmp_path / "out" / "a.png")
    ]
    (tmp_path / "out" / "a.png").write_bytes(b"mine")
    with pytest.raises(UserError, match="overwrite=true"):
        planned(tmp_path / "a.png", tmp_path / "out", overwrite=False)
    assert planned(tmp_path / "a.png", tmp_path / "out", overwrite=True)
    for source in ("absent.png", "out2"):
        (tmp_path / "out2").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=source):
            planned(tmp_path / source, tmp_path / "out", overwrite=False)
