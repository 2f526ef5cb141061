"""The Python of the tutorials runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from jdrl_lightning.io.image import read_image, write_image

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))


def python(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("name", ["new_backbone", "new_objective"])
def test_what_is_written_is_checked_and_trains(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = python(next(page for page in TUTORIALS if page.stem == name))
    found: dict[str, object] = {"__name__": "tutorial"}
    exec(compile(code, name, "exec"), found)
    if "trainer" in found:
        assert found["trainer"].global_step == 4  # type: ignore[attr-defined]


def test_a_photo_is_restored_in_python(photo: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small = photo[:, :64, :64].contiguous()
    write_image(tmp_path / "photo.png", small)
    code = python(next(page for page in TUTORIALS if page.stem == "restore"))
    exec(compile(code.replace("photo.jpg", "photo.png"), "restore", "exec"), {})
    assert not torch.equal(read_image(tmp_path / "sharper.png"), small)
