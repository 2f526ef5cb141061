"""A ``metrics.csv`` that is continued when a run is resumed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment

from jdrl_lightning.io.atomic import atomic_write, writing

__all__ = ["ContinuedCSVLogger", "TrimHistory"]

KEY = "unwritten_row"


class _Writer(ExperimentWriter):
    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        self.trim(None)

    def _check_log_dir_exists(self) -> None:
        """Lightning's version deletes an existing metrics.csv."""

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self._write(fieldnames, self._read()[1])

    def trim(self, step: int | None) -> None:
        """Drop rows after ``step`` and an incomplete last line."""
        if Path(self.metrics_file_path).exists():
            self.metrics_keys, rows = self._read()
            self._write(self.metrics_keys, [row for row in rows if step is None or int(float(row["step"])) <= step])

    def complete(self, row: Mapping[str, float], step: int) -> None:
        """Add the row of ``step`` unless it is there; the process may have been killed before writing it."""
        rows = self._read()[1] if Path(self.metrics_file_path).exists() else []
        at_step = [stored for stored in rows if int(float(stored["step"])) == step]
        if not any(all(stored.get(key) for key in row) for stored in at_step):
            self.log_metrics(dict(row), step)
            self.save()

    def save(self) -> None:
        with writing(self.metrics_file_path):
            super().save()

    def _read(self) -> tuple[list[str], list[dict[str, str]]]:
        with Path(self.metrics_file_path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row and None not in row.values() and row.get("step")]
            return list(reader.fieldnames or []), rows

    def _write(self, fieldnames: list[str], rows: list[dict[str, str]]) -> None:
        """Replace the whole file atomically, so that a kill loses no row."""
        with atomic_write(self.metrics_file_path, "w") as file:
            writer = csv.DictWriter(file, fieldnames=fieldnames)
            writer.writeheader()
            writer.writerows(rows)


class ContinuedCSVLogger(CSVLogger):
    """CSVLogger that appends to the rows of an interrupted run, and flushes every row: a checkpoint must never be ahead
    of the table."""

    def __init__(self, save_dir: str) -> None:
        super().__init__(save_dir, name="", version="", flush_logs_every_n_steps=1)

    @property
    def log_dir(self) -> str:
        return str(self._root_dir)

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        if self._experiment is None:
            self._fs.makedirs(self._root_dir, exist_ok=True)
            self._experiment = _Writer(log_dir=self.log_dir)
        return self._experiment


class TrimHistory(Callback):
    """Trims the table to the step that training resumes from, or empties it for a new run in the same folder.

    Later rows will be logged again. Lightning writes the row of a step after its checkpoint, so the checkpoint stores
    that row, from which it is restored if missing.
    """

    def __init__(self) -> None:
        self._unwritten: tuple[dict[str, float], int] | None = None

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the row that is about to be written, if any."""
        connector = trainer._logger_connector
        epoch_ended = connector._first_loop_iter is None
        if trainer.training and (epoch_ended or connector.should_update_logs):
            row = convert_tensors_to_scalars(connector.metrics["log"])
            checkpoint[KEY] = {"row": {**row, "epoch": trainer.current_epoch}, "step": trainer.global_step - 1}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        if KEY in checkpoint:
            row = {str(key): value for key, value in checkpoint[KEY]["row"].items()}
            self._unwritten = row, int(checkpoint[KEY]["step"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for logger in trainer.loggers:
            if isinstance(logger, ContinuedCSVLogger) and trainer.is_global_zero:
                logger.experiment.trim(trainer.global_step - 1)
                if self._unwritten is not None:
                    logger.experiment.complete(*self._unwritten)
