"""A full or read-only disk: a one-line error that names the file, and existing files stay intact."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from conftest import TINY
from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from jdrl_lightning.callbacks.csv_logger import ContinuedCSVLogger
from jdrl_lightning.io.atomic import atomic_write, disk_problem

NOBODY = 65534
RUN = ("trainer.max_epochs=2", "callbacks.best=null", "callbacks.quality=null", "callbacks.blur=null")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for two checkpoints, not three."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Drop root's permissions inside the block: root can write anywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def fill(disk: Path, free: int) -> None:
    """Fill the disk up to ``free`` bytes."""
    available = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(available - free))


def test_a_full_disk_keeps_the_earlier_checkpoint(small_disk: Path, train: Callable[..., Path], tmp_path: Path) -> None:
    run = small_disk / "run"
    train(run, *RUN, "trainer.max_epochs=1")
    before = read_checkpoint(run / "checkpoints" / "last.ckpt")
    fill(small_disk, 40_000)  # enough for metrics.csv
    with pytest.raises(UserError) as error:
        train(run, *RUN, "ckpt_path=auto")
    assert str(error.value) == f"{run / 'checkpoints' / 'last.ckpt'}: the disk is full; free some space"
    after = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert after["epoch"] == before["epoch"] == 0
    assert all(torch.equal(value, after["state_dict"][key]) for key, value in before["state_dict"].items())
    assert not list(run.rglob(".*.tmp"))
    (small_disk / "filler").unlink()
    train(run, *RUN, "ckpt_path=auto")
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["epoch"] == 1


def test_a_full_disk_keeps_the_table(small_disk: Path) -> None:
    logger = ContinuedCSVLogger(str(small_disk))
    logger.log_metrics({"loss": 0.5}, 0)
    fill(small_disk, 0)

    def log_more() -> None:
        for step in range(1, 2000):
            logger.log_metrics({"loss": 0.25}, step)

    with pytest.raises(UserError, match=r"metrics\.csv: the disk is full"):
        log_more()
    (small_disk / "filler").unlink()
    again = ContinuedCSVLogger(str(small_disk))
    again.experiment.trim(3)
    lines = (small_disk / "metrics.csv").read_text().splitlines()
    assert lines == ["loss,step", "0.5,0", "0.25,1", "0.25,2", "0.25,3"]


@pytest.mark.parametrize("size", [100, 100_000], ids=["first write", "later write"])
def test_a_checkpoint_above_the_file_size_limit(size: int, tmp_path: Path) -> None:
    """torch.save raises an error of its own in place of the disk's."""
    path, soft_hard = tmp_path / "last.ckpt", resource.getrlimit(resource.RLIMIT_FSIZE)
    torch.save({"epoch": 0}, path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, soft_hard[1]))
    try:
        with pytest.raises(UserError, match=r"last\.ckpt: the file exceeds the size limit"):
            AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft_hard)
    assert torch.load(path, weights_only=True) == {"epoch": 0}
    assert list(tmp_path.iterdir()) == [path]


def test_without_permission_the_file_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:  # other users cannot enter pytest's own
        mine = Path(folder)
        mine.chmod(0o555)
        with unprivileged():
            with pytest.raises(UserError, match=r"/a\.png: no permission to write"), atomic_write(mine / "a.png"):
                pass
            with pytest.raises(UserError, match=r"/new/b\.png: no permission"), atomic_write(mine / "new" / "b.png"):
                pass
            with pytest.raises(UserError, match=r"/metrics\.csv: no permission to write"):
                ContinuedCSVLogger(str(mine)).log_metrics({"loss": 1.0}, 0)
        assert not list(mine.iterdir())


def test_a_run_folder_that_cannot_be_created_is_one_line(small_disk: Path, pairs_folder: Path, tmp_path: Path) -> None:
    """Hydra creates it before the task runs."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    arguments = [*TINY, f"data.root={pairs_folder}", f"hydra.run.dir={small_disk / 'run'}"]
    done = subprocess.run(
        [sys.executable, "-m", "jdrl_lightning.train", *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == f"error: {small_disk / 'run'}: no permission to write; get it, or choose another folder\n"


def test_other_errors_are_not_disk_problems() -> None:
    assert disk_problem(OSError(2, "No such file or directory")) is None
    assert disk_problem(ValueError("anything")) is None
