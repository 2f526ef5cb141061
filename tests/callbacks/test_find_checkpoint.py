from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.find_checkpoint import (
    LeaveFolder,
    differences,
    latest_checkpoint,
    nearest,
)
from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.io.weights import CHECKPOINT_KEY

MODULE: Any = None


def checkpoint(run: Path, age_s: int, identity: str = "mine", name: str = "last") -> Path:
    path = run / "checkpoints" / f"{name}.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {}, CHECKPOINT_KEY: {"config": {"hash": identity}}}, path)
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


def test_a_training_planned_longer_is_the_same(tmp_path: Path) -> None:
    def config(lr: float, epochs: int) -> dict[str, Any]:
        return {"optim": {"optimizer": {"lr": lr}, "scheduler": {"epochs": epochs}}, "seed": 0}

    path = checkpoint(tmp_path / "run", 10)
    stored = {**config(0.1, 3), "hash": config_hash(config(0.1, 3))}
    torch.save({"state_dict": {}, CHECKPOINT_KEY: {"config": stored}}, path)
    for wanted, found in ((config(0.1, 3), path), (config(0.1, 9), path), (config(0.2, 9), None), ({"seed": 0}, None)):
        assert latest_checkpoint(tmp_path / "fresh", config_hash(wanted), wanted) == found
    assert differences(stored, config(0.1, 9)) == ["optim.scheduler.epochs 3 → 9"]
    assert differences(stored, config(0.2, 3)) == ["optim.optimizer.lr 0.1 → 0.2"]
    earlier = nearest(tmp_path / "fresh")
    assert earlier is not None
    assert (earlier.path, earlier.stored) == (path, stored)
    assert nearest(tmp_path / "run" / "checkpoints") is None


def test_what_does_not_make_another_training_is_no_difference() -> None:
    stored = {"hash": "a", "flow": 1, "data": {"num_workers": 2, "crop": 8}, "backbone": {"width": 4}, "seed": 0}
    now = {"flow": 2, "data": {"num_workers": 0, "crop": 8}, "backbone": {"width": 4, "weights": "a.pth"}, "seed": 0}
    assert differences(stored, now) == []
    assert differences(stored, now | {"backbone": {"width": 8}}) == ["backbone.width 4 → 8"]


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
