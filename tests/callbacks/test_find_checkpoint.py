from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.find_checkpoint import LeaveFolder, latest_checkpoint
from jdrl_lightning.io.weights import CHECKPOINT_KEY

MODULE: Any = None


def checkpoint(run: Path, age_s: int, config_hash: str = "mine", name: str = "last") -> Path:
    path = run / "checkpoints" / f"{name}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {}, CHECKPOINT_KEY: {"config": {"hash": config_hash}}}, path)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))
    return path


def started(run: Path) -> Path:
    """What Hydra leaves in a new run folder."""
    (run / ".hydra").mkdir(parents=True)
    (run / "train.log").touch()
    return run


def test_the_newest_checkpoint_with_this_hash_is_found(tmp_path: Path) -> None:
    run = tmp_path / "run"
    checkpoint(run, 30, name="old")
    newest = checkpoint(run, 20, name="new")
    checkpoint(run, 10, "another", name="other_config")
    checkpoint(tmp_path / "sibling", 0)
    assert latest_checkpoint(run, "mine") == newest
    assert latest_checkpoint(run, "nobody's") is None


def test_a_new_run_folder_takes_its_siblings_checkpoints(tmp_path: Path) -> None:
    checkpoint(tmp_path / "first", 20)
    newest = checkpoint(tmp_path / "second", 10)
    assert latest_checkpoint(started(tmp_path / "fresh"), "mine") == newest
    assert latest_checkpoint(tmp_path / "not_there_yet", "mine") == newest
    own = started(tmp_path / "own")
    (own / "notes.txt").touch()
    assert latest_checkpoint(own, "mine") is None


def test_an_unreadable_checkpoint_is_skipped_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = checkpoint(tmp_path / "run", 10)
    (tmp_path / "run" / "checkpoints" / "torn.ckpt").write_bytes(good.read_bytes()[:100])
    assert latest_checkpoint(tmp_path / "run", "mine") == good
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("skipped: ")
    assert "torn.ckpt" in message


def test_only_rank_0_deletes_only_an_unused_folder(tmp_path: Path) -> None:
    unused, used = started(tmp_path / "unused"), started(tmp_path / "used")
    (used / "notes.txt").touch()
    for rank_0 in (False, True):
        trainer: Any = SimpleNamespace(is_global_zero=rank_0)
        for folder in (unused, used):
            LeaveFolder(folder).setup(trainer, MODULE, "fit")
        assert unused.exists() != rank_0
    assert [path.name for path in used.iterdir()] == ["notes.txt"]
    LeaveFolder(unused).setup(trainer, MODULE, "fit")  # already gone
