"""The folder of a start that came to nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning.cli.run_folder import is_fresh, leave_unused


def started(folder: Path) -> Path:
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").touch()
    (folder / "train.log").touch()
    return folder


def test_an_unused_folder_goes_with_its_empty_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (started(tmp_path / "outputs" / "default" / name) for name in ("first", "second"))
    assert is_fresh(first)
    leave_unused(first, "train")
    assert [path.name for path in second.parent.iterdir()] == ["second"]
    leave_unused(second, "train")
    assert not list(tmp_path.iterdir())
    leave_unused(second, "train")


def test_the_working_directory_is_never_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = started(tmp_path / "inner")
    monkeypatch.chdir(inner)
    for folder in (Path(), inner, tmp_path):
        leave_unused(folder, "train")
    assert {path.name for path in inner.iterdir()} == {".hydra", "train.log"}


def test_whatever_else_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    used, mine, outside = started(tmp_path / "used"), started(tmp_path / "mine"), started(tmp_path.parent / "outside")
    (used / "metrics.csv").touch()
    (mine / "notes.log").touch()
    for folder in (used, mine, outside):
        leave_unused(folder, "train")
    assert {path.name for path in used.iterdir()} == {".hydra", "train.log", "metrics.csv"}
    assert {path.name for path in mine.iterdir()} == {"notes.log"}
    assert not outside.exists()
