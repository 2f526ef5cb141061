"""Checkpoints in mid-epoch and on stop signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lightning as L
import pytest
import torch

from conftest import TINY
from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.timed_checkpoint import MidwayCheckpoint
from jdrl_lightning.runtime.preemption import REQUEUE, SIGNALS, notice, requeueing

RUN = ("trainer.max_epochs=2", "backbone.dropout=0.4", "optim.optimizer.lr=1e-3", "callbacks.best=null")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.mark.parametrize(
    ("number", "step", "saved"), [(signal.SIGTERM, 3, 4), (signal.SIGUSR1, 7, 8)], ids=["middle", "end"]
)
def test_on_a_signal_it_saves_exits_for_a_requeue_and_resumes_bit_exactly(
    number: int, step: int, saved: int, train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(other) for other in SIGNALS]
    whole = train(tmp_path / "a" / "whole", *RUN)
    run = tmp_path / "b" / "run"

    def send(self: MidwayCheckpoint, trainer: L.Trainer, *_: object) -> None:
        if trainer.global_step == step:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patched, requeueing():
        patched.setattr(MidwayCheckpoint, "on_train_batch_start", send)
        with pytest.raises(SystemExit) as ended:
            train(run, *RUN)
    assert ended.value.code == REQUEUE
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] == saved
    assert not notice.deferred
    assert [signal.getsignal(other) for other in SIGNALS] == before
    train(run, *RUN, "ckpt_path=auto")
    assert all(torch.equal(value, weights(run)[key]) for key, value in weights(whole).items())


def test_timed_saves_are_in_mid_epoch_and_not_at_its_last_step(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    monkeypatch.setattr(MidwayCheckpoint, "_save", lambda self, trainer, stop: saved.append(trainer.global_step))
    settings = ("trainer.max_epochs=1", "callbacks.best=null", "callbacks.midway.every_minutes=1e-9")
    train(tmp_path / "every", *settings)
    assert saved == [1, 2, 3, 4, 5, 6, 7]
    saved.clear()
    train(tmp_path / "accumulated", *settings, "trainer.accumulate_grad_batches=4")
    assert saved == [1]
    saved.clear()
    train(tmp_path / "never", *settings, "callbacks.midway.every_minutes=0")
    assert saved == []
    with pytest.raises(UserError, match="every_minutes=-1"):
        MidwayCheckpoint("last.ckpt", -1)


@pytest.mark.parametrize("devices", [1, 2])
def test_the_command_exits_with_the_requeue_code(devices: int, pairs_folder: Path, tmp_path: Path) -> None:
    """The signal is sent to the launcher only, as by ``kill``; it forwards it to the ranks."""
    run = tmp_path / "run"
    settings = (*TINY, f"data.root={pairs_folder}", "trainer.max_epochs=100000", f"trainer.devices={devices}",
                "data.num_workers=1", f"hydra.run.dir={run}")  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "jdrl_lightning.train", *settings],
        cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not (run / "checkpoints" / "last.ckpt").is_file():
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    before = read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"]
    process.terminate()
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == REQUEUE, errors
    assert "Traceback" not in errors
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["global_step"] >= before
    assert f"exit code {REQUEUE}" in (run / "train.log").read_text()
