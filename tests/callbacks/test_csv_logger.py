from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from jdrl_lightning.callbacks.csv_logger import ContinuedCSVLogger


def test_earlier_rows_are_kept_and_later_rows_trimmed(tmp_path: Path) -> None:
    first = ContinuedCSVLogger(str(tmp_path))
    for step in range(5):
        first.log_metrics({"loss": step / 10}, step)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("0.5")  # killed in the middle of a row
    again = ContinuedCSVLogger(str(tmp_path))
    again.experiment.trim(2)
    again.log_metrics({"loss": 0.3, "rate": 1.0}, 3)
    assert (tmp_path / "metrics.csv").read_text().split() == [
        "loss,rate,step", "0.0,,0", "0.1,,1", "0.2,,2", "0.3,1.0,3",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.csv"]


def test_a_kill_between_two_checkpoints_loses_no_row(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch's row is written after its checkpoints; the run is resumed from the first of them."""
    settings = ("trainer.max_epochs=2", "monitor=val/gt/psnr")
    whole, run = tmp_path / "a" / "whole", tmp_path / "b" / "run"
    train(whole, *settings)
    save = AtomicCheckpointIO.save_checkpoint

    def dying(self: AtomicCheckpointIO, checkpoint: dict[str, Any], path: str, storage_options: Any) -> None:
        if Path(path).name == "last.ckpt":
            raise InterruptedError
        save(self, checkpoint, path, storage_options)

    with monkeypatch.context() as patched:
        patched.setattr(AtomicCheckpointIO, "save_checkpoint", dying)
        with pytest.raises(InterruptedError):
            train(run, *settings)
    train(run, *settings, "ckpt_path=auto")
    assert filled(run) == filled(whole)


def filled(run: Path) -> list[tuple[str, ...]]:
    """The step and the non-empty columns of each row."""
    with (run / "metrics.csv").open() as file:
        return [(row["step"], *(name for name, value in row.items() if value)) for row in csv.DictReader(file)]
