"""The commands of the tutorials compose, and their Python runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli import config as conf
from jdrl_lightning.io.image import read_image, write_image

TUTORIALS = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
NOT_COMPOSED = {"start", "copy", "bench", "app", "demo"}  # commands without a configuration of Hydra's


def commands(page: Path) -> list[list[str]]:
    """Arguments after ``python -m jdrl_lightning.``."""
    return [shlex.split(line) for line in re.findall(r"^    python -m jdrl_lightning\.(.*)$", page.read_text(), re.M)]


def python(page: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_the_commands_compose(page: Path) -> None:
    assert commands(page) or python(page)
    conf.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
        for words in commands(page):
            name, settings = words[0], [word for word in words[1:] if word != "-m" and "<" not in word]
            if name == "prepare":
                name = f"prepare_{settings.pop(0)}"
            if name not in NOT_COMPOSED:
                compose(name, [setting.split(",")[0] for setting in settings])  # of a sweep the first job


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
