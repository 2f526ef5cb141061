"""Where a training resumes and writes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.training.run import Run, find_checkpoint

LATEST = "jdrl_lightning.training.run.latest_checkpoint"


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of an earlier run with a checkpoint, and that of a new start."""
    earlier, fresh = tmp_path / "runs" / "earlier", tmp_path / "runs" / "fresh"
    (earlier / "checkpoints").mkdir(parents=True)
    (earlier / "checkpoints" / "last.ckpt").write_bytes(b"")
    fresh.mkdir()
    return earlier, fresh


@pytest.fixture
def log_file(folders: tuple[Path, Path]) -> Iterator[logging.FileHandler]:
    """The log file of the new start, as Hydra opens it."""
    root, handler = logging.getLogger(), logging.FileHandler(folders[1] / "train.log", delay=True)
    before, level = list(root.handlers), root.level
    root.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("[%(levelname)s] %(message)s"))
    handler.setLevel(logging.WARNING)
    root.addHandler(handler)
    yield handler
    for added in set(root.handlers) - set(before):
        added.close()
    root.handlers[:] = before
    root.setLevel(level)


def config(folder: Path, checkpoint: str | None) -> dict[str, Any]:
    callbacks = {"panels": {"folder": f"{folder}/panels", "every": [2, f"{folder}"]}}
    return {"ckpt_path": checkpoint, "callbacks": callbacks, "seed": 1, "run_dir": str(folder)}


def test_a_named_checkpoint_is_resumed_in_the_new_folder(folders: tuple[Path, Path]) -> None:
    earlier, fresh = folders
    path = str(earlier / "checkpoints" / "last.ckpt")
    (fresh / ".summary.json.1.tmp").write_text("half")
    given = config(fresh, path)
    assert find_checkpoint(given, fresh) == Run(given, fresh, fresh, Path(path), config_hash(given))
    assert find_checkpoint(config(fresh, None), fresh).checkpoint is None
    assert not list(fresh.iterdir()), "the temporary file of a killed write is deleted"


def test_auto_without_a_checkpoint_trains_from_scratch(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jdrl_lightning")
    monkeypatch.setattr(LATEST, lambda *_: None)
    run = find_checkpoint(config(folders[1], "auto"), folders[1])
    assert (run.checkpoint, run.run_dir, run.started_in) == (None, folders[1], folders[1])
    assert "training from scratch" in caplog.text


def test_auto_continues_in_the_earlier_folder(
    folders: tuple[Path, Path], log_file: logging.FileHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, fresh = folders
    asked = []

    def latest(folder: Path, identity: str, config: dict[str, Any]) -> Path:
        asked.append((folder, identity))
        return earlier / "checkpoints" / "last.ckpt"

    monkeypatch.setattr(LATEST, latest)
    given = config(fresh, "auto")
    run = find_checkpoint(given, fresh)
    assert asked == [(fresh, config_hash(given))]
    assert (run.run_dir, run.started_in, run.checkpoint) == (earlier, fresh, earlier / "checkpoints" / "last.ckpt")
    assert run.config == config(earlier, "auto")
    assert given == config(fresh, "auto")
    logging.getLogger().error("here")
    logging.getLogger().info("not of this level")
    assert (earlier / "train.log").read_text() == "[ERROR] here\n"
    assert log_file not in logging.getLogger().handlers
    assert not list(fresh.iterdir())


def test_auto_in_the_runs_own_folder_changes_nothing(
    folders: tuple[Path, Path], log_file: logging.FileHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier, _ = folders
    monkeypatch.setattr(LATEST, lambda folder, *_: folder / "checkpoints" / "last.ckpt")
    run = find_checkpoint(config(earlier, "auto"), earlier)
    assert (run.config, run.run_dir, run.started_in) == (config(earlier, "auto"), earlier, earlier)
    assert log_file in logging.getLogger().handlers
