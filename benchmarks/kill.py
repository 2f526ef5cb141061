"""Kill a training again and again and check that nothing is lost: ``python benchmarks/kill.py --kills 20``

Each kill is a SIGKILL: at a random moment after the start of the process, halfway through writing a file, or between
two files. The same command then resumes with ckpt_path=auto. In the end, weights and optimiser state must be
bit-identical to those of an uninterrupted run, metrics.csv must have the same rows and values (except times), and W&B
one run; after every kill each file must be intact. TMPDIR is on another file system.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning  # noqa: F401  (the processes are forked from this one, which has imported what takes long)
import torch
import wandb  # noqa: F401
from PIL import Image

import jdrl_lightning.io.atomic
from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.csv_logger import KEY as UNWRITTEN
from jdrl_lightning.io.image import write_image
from jdrl_lightning.train import main as train

SETTINGS = (
    "backbone.width=4", "backbone.dropout=0.1", "objective.reblur.width=4", "objective.reblur.levels=3",
    "objective.warmup_epochs=2", "optim.optimizer.lr=1e-3", "data=folder", "data.crop=32",
    "data.batch_size=2", "data.repeat=2", "data.num_workers=1",
    "callbacks.panels.every_n_epochs=1", "callbacks.panels.images=1",
    "callbacks.progress=null", "callbacks.midway.every_minutes=0.003", "trainer.accelerator=cpu",
    "+trainer.enable_progress_bar=false", "+trainer.enable_model_summary=false", "trainer.log_every_n_steps=1",
    "logger=wandb", "logger.wandb.offline=true", "monitor=val/gt/psnr",
)  # fmt: skip
OF_THE_CLOCK = ("train/images_per_s", "train/data_wait", "train/peak_memory_mib")


def begin(run: Path, *settings: str, before: Callable[[], None] = lambda: None) -> int:
    """Start the command in a new process, in which ``before`` is called first; returns its id."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        with (run.parent / "out").open("a") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        torch.set_num_threads(1)
        before()
        sys.argv = ["train", *SETTINGS, *settings, f"hydra.run.dir={run}"]
        train()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(process: int) -> int:
    """Wait for the process; its exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def suicide(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def in_write(number: int, of: str = "") -> Callable[[], None]:
    """In the process: die halfway through the ``number``-th file, with ``of`` in its name, of those that are written
    atomically."""

    def patch() -> None:
        fsync, count = os.fsync, 0

        def dying(descriptor: int) -> None:
            nonlocal count
            count += of in os.readlink(f"/proc/self/fd/{descriptor}")
            if count == number:
                os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
                suicide()
            fsync(descriptor)

        jdrl_lightning.io.atomic.os.fsync = dying  # type: ignore[assignment]

    return patch


def after_write(number: int) -> Callable[[], None]:
    """In the process: die when the ``number``-th such file has been renamed into place."""

    def patch() -> None:
        replace, count = os.replace, 0

        def dying(source: Any, target: Any) -> None:
            nonlocal count
            replace(source, target)
            count += 1
            if count == number:
                suicide()

        jdrl_lightning.io.atomic.os.replace = dying  # type: ignore[assignment]

    return patch


def broken(run: Path) -> list[str]:
    """Every damaged file of the run, except temporary ones, which the next start deletes."""
    found = []
    for path in run.rglob("*"):
        try:
            if path.suffix == ".ckpt":
                read_checkpoint(path)
            elif path.suffix == ".png" and "wandb" not in path.parts:
                Image.open(path).load()
        except (UserError, OSError) as error:
            found.append(f"{path}: {error}")
    return found


def rows(run: Path) -> list[tuple[tuple[str, str], ...]]:
    """The rows of metrics.csv without timings, in an order that does not depend on when they were written."""
    with (run / "metrics.csv").open(newline="") as file:
        table = [
            tuple(sorted((name, value) for name, value in row.items() if value and name not in OF_THE_CLOCK))
            for row in csv.DictReader(file)
        ]
    return sorted(table)


def same(one: Any, other: Any) -> bool:
    """Whether two nested structures of tensors and plain values are equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def killed(run: Path, settings: tuple[str, ...], kind: str, draw: random.Random, most: int, wait_s: float) -> bool:
    """Resume the run and kill it, at one of the first ``most`` files or within ``wait_s``; False if it finished."""
    if kind == "clock":
        process = begin(run, *settings)
        wait, since = draw.uniform(0.5, wait_s), time.monotonic()
        while time.monotonic() < since + wait:
            if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.005)
        os.kill(process, signal.SIGKILL)
        return exit_code(process) == -signal.SIGKILL
    number = draw.randint(1, most)
    patch = {"in": in_write(number), "in a checkpoint": in_write(number, ".ckpt"), "between": after_write(number)}[kind]
    return exit_code(begin(run, *settings, before=patch)) == -signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--wait", type=float, default=12, help="latest random kill, seconds after the start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tmpdir", default="/dev/shm", help="a folder on another file system")
    parser.add_argument("--keep", type=Path, help="folder for the two runs (default: they are deleted)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(dir=arguments.tmpdir) as elsewhere:
        root = (arguments.keep or Path(folder)).absolute()
        root.mkdir(parents=True, exist_ok=True)
        os.environ |= {"TMPDIR": elsewhere, "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
        print(f"runs on device {os.stat(root).st_dev}, TMPDIR={elsewhere} on device {os.stat(elsewhere).st_dev}")
        failures = check(root, arguments.kills, arguments.epochs, arguments.wait, random.Random(arguments.seed))
    print("\n".join(failures) or "nothing lost")
    raise SystemExit(bool(failures))


def write_pairs(root: Path) -> None:
    """Eight pairs to train and two to validate: noise, smooth enough to have a flow."""
    torch.manual_seed(0)
    for split, count in (("train", 8), ("val", 2)):
        for number in range(count):
            sharp = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12), size=(48, 48), mode="bicubic")
            blurry = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2)
            for kind, image in (("blur", blurry), ("gt", sharp.roll(1, -1))):
                path = root / split / kind / f"{number}.png"
                write_image(path, (image[0].clamp(0, 1) * 255).byte())


def check(root: Path, kills: int, epochs: int, wait_s: float, draw: random.Random) -> list[str]:
    write_pairs(root / "pairs")
    settings = (f"trainer.max_epochs={epochs}", f"data.root={root / 'pairs'}", "ckpt_path=auto")
    whole, run = root / "whole" / "run", root / "killed" / "run"  # side by side, each would resume the other
    if code := exit_code(begin(whole, *settings)):
        return [f"the uninterrupted run exited with {code}: {whole.parent / 'out'}"]
    failures, done, restarts = [], 0, 0
    kinds = [("in a checkpoint", "between", "clock", "in")[number % 4] for number in range(kills)]
    for kind in kinds:
        has_checkpoint = any(run.glob("checkpoints/*.ckpt"))
        if not killed(run, settings, kind, draw, min(20, epochs), wait_s):
            break
        done += 1
        restarts += not has_checkpoint and any(run.glob("wandb/offline-run-*"))
        failures += broken(run)
        checkpoints = [read_checkpoint(path) for path in run.glob("checkpoints/*.ckpt")]
        reached = max((checkpoint["global_step"] for checkpoint in checkpoints), default=0)
        pending = sum(UNWRITTEN in checkpoint for checkpoint in checkpoints)
        left = len(list(run.rglob(".*.tmp")))
        print(
            f"kill {done} ({kind}): step {reached}, {left} temporary files, {pending} rows in checkpoints", flush=True
        )
    code = exit_code(begin(run, *settings))
    if code:
        return [*failures, f"the last resumption exited with {code}: {run.parent / 'out'}"]
    expected, found = (read_checkpoint(path / "checkpoints" / "last.ckpt") for path in (whole, run))
    for part in ("state_dict", "optimizer_states", "global_step"):
        if not same(expected[part], found[part]):
            failures.append(f"{part} differs from that of the uninterrupted run")
    wanted, made = rows(whole), rows(run)
    for row in wanted:
        if made.count(row) != wanted.count(row):
            failures.append(f"metrics.csv: {made.count(row)} times, not {wanted.count(row)}: {dict(row)}")
    failures += [f"metrics.csv: an unexpected row: {dict(row)}" for row in made if row not in wanted]
    failures += broken(run) + [f"left over: {path}" for path in run.rglob(".*.tmp")]
    identities = {path.name.rpartition("-")[2] for path in run.glob("wandb/offline-run-*")}
    if len(identities) > 1 + restarts:
        failures.append(f"{len(identities)} W&B runs: {identities}")
    print(f"{done} kills, {len(made)} rows, {len(identities)} W&B run(s), {restarts} killed before a first checkpoint")
    return failures


if __name__ == "__main__":
    main()
