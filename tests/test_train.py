"""The train command: the files of a run, and its errors."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import jdrl_lightning.train
from conftest import TINY
from jdrl_lightning import UserError, build, copy, start
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.timed_checkpoint import MidwayCheckpoint
from jdrl_lightning.training.fit import fit
from processes import forked, fresh

TRAIN = ("-m", "jdrl_lightning.train")


def test_a_run_writes_the_files_of_the_readme(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(
        tmp_path / "run", "trainer.max_epochs=2", "objective.warmup_epochs=1", "callbacks.panels.every_n_epochs=1"
    )
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert len(list((run / "panels").glob("epoch_000[01]_*.png"))) == 4
    summary = json.loads((run / "summary.json").read_text())
    assert summary["epochs"] == 2
    assert summary["steps"] == 16
    assert summary["world_size"] == 1
    assert summary["metrics"]["val/deformed_gt/psnr"] > 10
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    stages = {row["stage"] for row in rows if row["stage"]}
    assert stages == {"0.0", "1.0"}
    for column in ("train/loss/align", "train/loss/align_back", "train/loss/reblur", "train/kept", "val/gt/ssim",
                   "val/placement/rms", "lr-Adam"):  # fmt: skip
        assert any(row[column] for row in rows), column


def test_checkpoints_do_not_contain_the_flow_estimator(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", "trainer.max_epochs=1")
    names = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    assert {name.split(".")[0] for name in names} == {"backbone", "objective"}
    assert all(".flow." not in name for name in names)


def test_training_lowers_the_loss(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", "trainer.max_epochs=30", "optim=cosine", "optim.optimizer.lr=2e-3", "debug=overfit")
    with (run / "metrics.csv").open() as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert sum(losses[-2:]) < 0.85 * sum(losses[:2])


def test_ctrl_c_says_how_to_resume(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def press(*_: object) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    caplog.set_level(logging.INFO, "jdrl_lightning")
    run = tmp_path / "run"
    for hook, saved in (("on_train_batch_end", "nothing was saved yet"), ("on_train_epoch_end", "ckpt_path=auto")):
        with monkeypatch.context() as patch:
            patch.setattr(MidwayCheckpoint, hook, press)
            try:
                with pytest.raises(SystemExit) as ended:
                    train(run, "trainer.max_epochs=2")
            finally:
                signal.signal(signal.SIGINT, handler)
        assert ended.value.code == 130
        assert caplog.messages[-1].startswith("stopped; ")
        assert caplog.messages[-1].endswith(saved)


def test_an_error_in_a_validation_leaves_no_worker_running(train: Callable[..., Path], tmp_path: Path) -> None:
    folder = tmp_path / "panels"
    folder.write_text("not a folder")
    settings = ("data.num_workers=2", "callbacks.panels.every_n_epochs=1", f"callbacks.panels.folder={folder}")
    others = set(active_children())
    with pytest.raises((OSError, UserError)):
        train(tmp_path / "run", *settings, "trainer.max_epochs=1")
    running = set(active_children()) - others
    for child in running:
        child.kill()
    assert not running


@pytest.mark.parametrize(
    ("precision", "more"),
    [
        ("bf16-mixed", "objective.flow_of=crop"),
        ("bf16-mixed", "objective.flow_of=picture"),
        ("bf16-true", "callbacks.panels.every_n_epochs=1"),
        ("64-true", "objective.flow={name: raft_small, weights: random}"),
    ],
)
def test_other_precisions_train_the_joint_stage(
    precision: str, more: str, train: Callable[..., Path], tmp_path: Path
) -> None:
    settings = ("objective=jdrl_robust", more, f"trainer.precision={precision}", "trainer.log_every_n_steps=1")
    run = train(tmp_path / "run", *settings, "trainer.max_epochs=2", "objective.warmup_epochs=1")
    with (run / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/loss/reblur"]]
    assert len(rows) == 8
    assert all(math.isfinite(float(row["train/loss"])) for row in rows)


def test_log_every_n_steps_0_logs_no_steps(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", "trainer.max_epochs=1", "trainer.log_every_n_steps=0")
    assert json.loads((run / "summary.json").read_text())["steps"] == 8
    with (run / "metrics.csv").open() as file:
        assert not any(row.get("train/loss") for row in csv.DictReader(file))


def test_accumulation_and_clipping_reach_the_trainer(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(
        tmp_path / "run", "trainer.max_epochs=1", "trainer.accumulate_grad_batches=4", "trainer.gradient_clip_val=0.01"
    )
    assert json.loads((run / "summary.json").read_text())["steps"] == 2


def test_the_command_runs_from_any_folder(pairs_folder: Path, tmp_path: Path) -> None:
    done = fresh(tmp_path, *TRAIN, *TINY, f"data.root={pairs_folder}", "trainer.max_epochs=1", "debug=fast")
    assert done.returncode == 0, done.stderr
    runs = list((tmp_path / "outputs" / "default").iterdir())
    assert len(runs) == 1
    assert (runs[0] / "checkpoints" / "last.ckpt").is_file()
    assert (runs[0] / ".hydra" / "config.yaml").is_file()
    assert "stage warmup" in (runs[0] / "train.log").read_text()
    first = done.stdout.splitlines()[0]
    assert not [
        word
        for word in ("Warning", "FLOPs", "LeafSpec", "Tip", "logging interval")
        if word in done.stdout + done.stderr
    ]
    assert first.endswith(
        f"objective=jdrl data=folder optim=paper, into outputs/default/{runs[0].name}; loading PyTorch"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}


@pytest.mark.parametrize(("word", "module"), [("init", start), ("copy", copy)])
def test_the_commands_that_write_settings_are_words_of_train(
    word: str, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(module, "main", lambda: seen.append(sys.argv[1:]))
    monkeypatch.setattr(sys, "argv", ["jdrl-train", word, "name=mine"])
    jdrl_lightning.train.main()
    assert seen == [["name=mine"]]


def test_a_user_error_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    done = forked(tmp_path, *TRAIN, "data=folder", "data.root=nowhere")
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "nowhere" in errors[0]
    assert "Traceback" not in done.stderr
    unknown = forked(tmp_path, *TRAIN, "backbone.depth=3")
    assert unknown.returncode == 1
    assert "depth" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_a_multirun_continues_after_a_failed_job(pairs_folder: Path, tmp_path: Path) -> None:
    """The first job's mask does not exist; the second job trains."""
    settings = (*TINY, f"data.root={pairs_folder}", "trainer.max_epochs=1", "debug=fast")
    done = forked(tmp_path, *TRAIN, "-m", *settings, "objective.mask=soft,magnitude")
    summaries = list(tmp_path.glob("multirun/default/*/*/summary.json"))
    assert [path.parent.name for path in summaries] == ["1"], done.stderr
    assert "objective.mask='soft'" in done.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.lam=2", "objective.lam"),
        ("objective.schedule=papers", "objective.schedule"),
        ("data.crop=64", "data.crop"),
        ("data.batch_size=99", "data.batch_size"),
        ("data.register=rigid", "data.register"),
        ("ckpt_path=absent.ckpt", "absent.ckpt"),
        ("backbone.weights=absent.pth", "absent.pth"),
        ("objective.lam=abc", "objective 'jdrl' cannot be built with these settings"),
        ("objective.eps=0", r"objective\.eps=0 .* set objective\.eps="),
        ("data.crop=abc", r"data\.crop='abc' .* set data\.crop=1 or more"),
        ("data.crop=null", r"data\.crop=None"),
        ("data.crop=0", r"data\.crop=0"),
        ("data.batch_size=0", r"data\.batch_size=0"),
        ("data.repeat=0", r"data\.repeat=0"),
        ("data.num_workers=-1", r"data\.num_workers=-1"),
        ("flow=oracle", "flow=oracle needs .* use data=photos"),
        ("seed=-1", "seed=-1 .* give seed=0"),
        ("seed=abc", "seed='abc' .* give seed=0"),
        ("optim.optimizer.lr=-1", r"optim\.optimizer .* learning rate: -1"),
        ("optim.scheduler.every=0", r"optim\.scheduler cannot be used with these settings: "),
        ("optim.scheduler=cosine", r"optim\.scheduler=cosine: not an option; .* optim=cosine"),
        ("backbone.width=-4", r"backbone 'unet' cannot be built with these settings: .*-4"),
        ("monitor=val/aligned/psnr", r"these pairs carry no truth; use val/deformed_gt/psnr"),
        ("backbone.width=0", r"raise its sizes \(.*backbone\.width=0"),
        ("trainer.precision=foo", r"trainer: .*trainer\.precision=foo"),
        ("trainer.devices=0", r"trainer: .*trainer\.devices=0"),
        ("trainer.devices=abc", r"trainer: .*trainer\.devices=abc"),
        pytest.param(
            "trainer.accelerator=gpu", r"trainer: .*trainer\.accelerator=gpu",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="valid with a GPU"),
        ),
    ],
)  # fmt: skip
def test_user_errors_are_found_before_training(
    override: str, message: str, train: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message) as error:
        train(tmp_path / "run", override)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data=leaves", "data.frames_per_photo=3"), r"give data\.frames_per_photo\.train=3"),
        (("data=photos", "data.crop=300"), r"data\.crop=300 is larger than data\.frame=256"),
        (("data=leaves", "data.crop=500"), r"data\.crop=500 is larger than data\.frame=256"),
        (("objective=charbonnier", "objective.eps=0"), r"objective\.eps=0 .* set objective\.eps="),
    ],
)
def test_user_errors_in_other_groups(
    overrides: tuple[str, ...], message: str, composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    small = ("backbone.width=4", "trainer.accelerator=cpu")
    with pytest.raises(UserError, match=message):
        fit(composed(tmp_path / "run", *small, *overrides), tmp_path / "run")


KILLED_IN_A_WRITE = """
import os, signal, sys
import torch
save, count = torch.save, 0

def dying(content, file):
    global count
    count += 1
    if count == {n}:
        file.write(b"half a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, file)

torch.save = dying
from jdrl_lightning.train import main
main()
"""


def test_a_kill_while_writing_a_checkpoint_keeps_the_earlier_one(
    pairs_folder: Path, train: Callable[..., Path], tmp_path: Path
) -> None:
    run, settings = tmp_path / "run", ("trainer.max_epochs=3", "callbacks.best=null")
    arguments = (*TINY, f"data.root={pairs_folder}", *settings, f"hydra.run.dir={run}")
    done = forked(tmp_path, "-c", KILLED_IN_A_WRITE.format(n=2), *arguments)
    assert done.returncode == -signal.SIGKILL
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["epoch"] == 0
    assert len(list(run.rglob(".last.ckpt.*.tmp"))) == 1
    train(run, *settings, "ckpt_path=auto")
    whole = train(tmp_path / "whole", *settings)
    found, expected = (read_checkpoint(r / "checkpoints" / "last.ckpt")["state_dict"] for r in (run, whole))
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert not list(run.rglob(".*.tmp"))


def test_after_a_kill_auto_resumes_in_the_same_folder(pairs_folder: Path, tmp_path: Path) -> None:
    """A new start finds the killed run's folder, and deletes its own."""
    arguments = [*TINY, f"data.root={pairs_folder}", "trainer.max_epochs=40", "callbacks.best=null"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jdrl_lightning.train", *arguments],
        cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    folder = tmp_path / "outputs" / "default"
    for _ in range(600):
        if list(folder.glob("*/checkpoints/last.ckpt")):
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    (first,) = folder.iterdir()
    reached = read_checkpoint(first / "checkpoints" / "last.ckpt")["epoch"]
    time.sleep(1.1)  # run folders are named by the second
    done = forked(tmp_path, *TRAIN, *arguments, "ckpt_path=auto", f"trainer.max_epochs={reached + 3}")
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == [first]
    assert read_checkpoint(first / "checkpoints" / "last.ckpt")["epoch"] == reached + 2
    assert "resuming from" in (first / "train.log").read_text()


def test_the_module_works_without_hydra(pairs_folder: Path, tmp_path: Path) -> None:
    """The README's quickstart."""
    import lightning as L

    from jdrl_lightning import DeblurringModule, backbones, objectives
    from jdrl_lightning.data.datamodule import PairDataModule
    from jdrl_lightning.data.pairs import FolderPairs

    backbone = backbones.create("unet", width=4, global_residual=True)
    settings: dict[str, Any] = {"flow": {"name": "gauss_newton"}, "reblur": {"width": 4}}
    objective = objectives.create("jdrl", lam=0.35, alpha=0.5, warmup_epochs=1, **settings)
    data = PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop=32, batch_size=4)
    trainer = L.Trainer(
        max_epochs=2, use_distributed_sampler=False, default_root_dir=tmp_path, accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    module = DeblurringModule(backbone, objective)
    trainer.fit(module, data)
    assert trainer.global_step == 4
    assert module.stage.name == "joint"
    trainer.save_checkpoint(tmp_path / "mine.ckpt")
    again, blurry = build.from_checkpoint(tmp_path / "mine.ckpt"), torch.rand(1, 3, 32, 32)
    assert torch.equal(again(blurry), module.eval()(blurry))
    assert torch.equal(build.backbone_from_checkpoint(tmp_path / "mine.ckpt")(blurry).images[0], again(blurry))
    assert again.objective.schedule.plain() == objective.schedule.plain()
