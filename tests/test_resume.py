"""A run that is interrupted and resumed equals an uninterrupted one, bit for bit."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.training.fit import fit

RUN = (
    "backbone.dropout=0.4",
    "optim=cosine",
    "optim.scheduler.warmup_epochs=2",
    "optim.scheduler.epochs=4",
    "trainer.max_epochs=4",
    "objective.warmup_epochs=2",
    "callbacks.best=null",
    "monitor=val/gt/psnr",
)
STEPS_AN_EPOCH = 8


def every_step(folder: Path) -> list[str]:
    """Settings that keep a checkpoint of each step and each epoch's end."""
    settings = f"{{_target_: lightning.pytorch.callbacks.ModelCheckpoint, dirpath: {folder}, save_top_k: -1, "
    step = settings + "filename: '{step}', every_n_train_steps: 1, save_on_train_epoch_end: false}"
    return [f"+callbacks.every={step}"]


def weights(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {"root": tmp_path_factory.mktemp("shared")}


@pytest.fixture
def uninterrupted(shared: dict[str, Path], train: Callable[..., Path]) -> Path:
    """One uninterrupted run for all tests of this file, with a checkpoint of each step."""
    if "run" not in shared:
        folder = shared["root"] / "run"
        shared["run"] = train(folder, *RUN, *every_step(shared["root"] / "steps"))
    return shared["run"]


def test_the_learning_rate_changes_at_every_step(uninterrupted: Path, shared: dict[str, Path]) -> None:
    rates = []
    for step in range(1, 4 * STEPS_AN_EPOCH + 1):
        checkpoint = torch.load(shared["root"] / "steps" / f"step={step}.ckpt", weights_only=True)
        rates.append(checkpoint["optimizer_states"][0]["param_groups"][0]["lr"])
    warmup = 2 * STEPS_AN_EPOCH
    assert rates[:warmup] == pytest.approx([3e-4 * (0.01 + 0.99 * step / warmup) for step in range(warmup)])
    assert rates[warmup] == pytest.approx(3e-4)
    assert rates[warmup:] == sorted(set(rates[warmup:]), reverse=True)
    logged = {int(row["step"]): float(row["lr-Adam"]) for row in rows(uninterrupted) if row["lr-Adam"]}
    assert len(logged) > 4
    assert all(rate == pytest.approx(rates[step]) for step, rate in logged.items())


@pytest.mark.parametrize(
    ("step", "workers"),
    [(11, 0), (16, 0), (19, 0), (24, 2), (29, 2)],
    ids=["before", "at", "mid", "past", "mid-workers"],
)
def test_resuming_is_bit_exact(
    step: int, workers: int, uninterrupted: Path, shared: dict[str, Path], train: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint = shared["root"] / "steps" / f"step={step}.ckpt"
    resumed = train(
        tmp_path / "run",
        *RUN,
        f"ckpt_path={str(checkpoint).replace('=', chr(92) + '=')}",
        f"data.num_workers={workers}",
    )
    expected, found = weights(uninterrupted), weights(resumed)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    for column in ("stage", "train/loss") if step % STEPS_AN_EPOCH else ("train/loss",):
        kept = [row[column] for row in rows(uninterrupted) if int(row["step"]) >= step and row[column]]
        assert [row[column] for row in rows(resumed) if int(row["step"]) >= step and row[column]] == kept
    first = read_checkpoint(checkpoint)["state_dict"]
    assert any(not torch.equal(first[key], found[key]) for key in first)


def test_auto_resumes_in_its_own_folder_and_keeps_the_table(
    uninterrupted: Path, train: Callable[..., Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(run, *RUN, "trainer.max_epochs=2")
    train(run, *RUN, "ckpt_path=auto")
    expected, found = rows(uninterrupted), rows(run)
    assert [r["step"] for r in found] == [r["step"] for r in expected]
    assert [r["train/loss"] for r in found] == [r["train/loss"] for r in expected]
    assert [r["val/gt/psnr"] for r in found] == [r["val/gt/psnr"] for r in expected]
    kept, again = weights(uninterrupted), weights(run)
    assert all(torch.equal(kept[key], again[key]) for key in kept)


def test_a_new_run_in_the_same_folder_starts_a_new_table(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=2")
    first = rows(run)
    train(run, *RUN, "trainer.max_epochs=1", "seed=5")
    again = rows(run)
    assert {int(row["step"]) for row in again} == {int(row["step"]) for row in first[: len(first) // 2]}
    losses = [[row["train/loss"] for row in table if row["train/loss"]] for table in (first, again)]
    assert losses[0][0] != losses[1][0]


def test_auto_deletes_none_of_the_users_files(train: Callable[..., Path], tmp_path: Path) -> None:
    earlier = train(tmp_path / "runs" / "earlier", *RUN, "trainer.max_epochs=1")
    fresh, mine = tmp_path / "runs" / "fresh", tmp_path / "runs" / "mine"
    for folder in (fresh, mine):
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra" / "config.yaml").touch()
    (mine / "precious.txt").write_text("here")
    train(fresh, *RUN, "trainer.max_epochs=2", "ckpt_path=auto")
    assert not fresh.exists()
    assert read_checkpoint(earlier / "checkpoints" / "last.ckpt")["epoch"] == 1
    train(mine, *RUN, "trainer.max_epochs=1", "ckpt_path=auto")
    assert (mine / "precious.txt").read_text() == "here"
    assert (mine / "checkpoints" / "last.ckpt").exists()


def test_auto_skips_a_truncated_checkpoint(
    train: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=1")
    good = run / "checkpoints" / "last.ckpt"
    (run / "checkpoints" / "newer.ckpt").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    from jdrl_lightning.callbacks.find_checkpoint import latest_checkpoint

    stored = read_checkpoint(good)["jdrl_lightning"]["config"]["hash"]
    assert latest_checkpoint(run, stored) == good
    assert "newer.ckpt" in caplog.text
    assert latest_checkpoint(tmp_path / "another", stored) == good
    assert latest_checkpoint(tmp_path / "another", "0" * 12) is None


@pytest.mark.parametrize("first", ["trainer.limit_train_batches=3", "+trainer.max_steps=9"])
def test_epochs_are_complete_after_resuming_with_another_length(
    first: str, train: Callable[..., Path], tmp_path: Path
) -> None:
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=2", first)
    train(run, *RUN, "trainer.max_epochs=3", "ckpt_path=auto")
    last = [row for row in rows(run) if row["epoch"] == "2"]
    assert sum(bool(row["train/loss"]) for row in last) == STEPS_AN_EPOCH
    assert sum(bool(row["val/gt/psnr"]) for row in last) == 1


def test_auto_trains_on_for_more_epochs_though_the_schedule_depends_on_them(
    train: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "jdrl_lightning")
    settings = ("optim=cosine", "callbacks.best=null", "trainer.limit_train_batches=2")
    earlier, fresh = tmp_path / "runs" / "earlier", tmp_path / "runs" / "fresh"
    train(earlier, *settings, "trainer.max_epochs=1")
    train(fresh, *settings, "trainer.max_epochs=3", "ckpt_path=auto")
    assert not fresh.exists()
    assert read_checkpoint(earlier / "checkpoints" / "last.ckpt")["epoch"] == 2
    assert "1 of 3 epochs done; changed since: optim.scheduler.epochs 1 → 3" in caplog.text
    train(fresh, *settings, "trainer.max_epochs=3", "ckpt_path=auto")
    assert "complete: " in caplog.text
    assert not fresh.exists()
    train(fresh, *settings, "trainer.max_epochs=3", "optim.optimizer.lr=1e-3", "ckpt_path=auto")
    assert "training from scratch; " in caplog.text
    assert f"{earlier} differs in optim.optimizer.lr 0.0003 → 0.001: ckpt_path={earlier} resumes it" in caplog.text


def test_a_resumed_training_takes_the_rate_that_it_is_given(train: Callable[..., Path], tmp_path: Path) -> None:
    settings = ("optim=finetune", "callbacks.best=null", "trainer.limit_train_batches=2")
    first = train(tmp_path / "first", *settings, "trainer.max_epochs=1")
    again = ("trainer.max_epochs=2", f"ckpt_path={first}", "optim.optimizer.lr=1e-4")
    rates = [float(row["lr-Adam"]) for row in rows(train(tmp_path / "second", *settings, *again)) if row["lr-Adam"]]
    assert len(rates) == 2
    assert rates == pytest.approx([1e-4, 1e-4])


def test_fewer_epochs_than_trained_are_refused_in_one_line(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=3")
    with pytest.raises(UserError, match=r"current_epoch=\d, but you have set Trainer\(max_epochs=1\)"):
        train(run, *RUN, "trainer.max_epochs=1", "ckpt_path=auto")


def test_edited_past_stages_are_refused(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=3")
    last = run / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match="stages"):
        train(tmp_path / "b", *RUN, f"ckpt_path={last}", "objective.warmup_epochs=1")
    with pytest.raises(UserError, match="another architecture"):
        train(tmp_path / "c", *RUN, f"ckpt_path={last}", "backbone.width=8")


def test_pretraining_resumes_with_the_frames_of_its_epoch(
    composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The experiment at a small size; its average of the weights goes on too."""
    settings = (
        "experiment=pretrain",
        "backbone.width=4",
        "data.frame=48",
        "data.crop=32",
        "data.repeat=2",
        "data.leaves=1",
        "data.frames_per_photo={train: 1, val: 1, test: 1}",
        "trainer.max_epochs=3",
        "trainer.check_val_every_n_epoch=3",
        "callbacks.panels=null",
    )
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    fit(composed(whole, *settings, *every_step(tmp_path / "steps")), whole)
    middle = str(tmp_path / "steps" / "step=4.ckpt").replace("=", chr(92) + "=")
    fit(composed(resumed, *settings, f"ckpt_path={middle}"), resumed)
    checkpoints = [read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (whole, resumed)]
    assert [checkpoint["global_step"] for checkpoint in checkpoints] == [9, 9]
    for key in ("state_dict", "current_model_state"):
        expected, found = (checkpoint[key] for checkpoint in checkpoints)
        assert all(torch.equal(expected[name], found[name]) for name in expected)
