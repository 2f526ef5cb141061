from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from callbacks import offline
from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.wandb_run import identified
from jdrl_lightning.cli import config
from jdrl_lightning.module import DeblurringModule

RUN = ("logger=wandb", "logger.wandb.offline=true", "data.num_workers=0", "trainer.limit_train_batches=2")
LOGGERS = {"csv": {"_target_": "jdrl_lightning.callbacks.csv_logger.ContinuedCSVLogger"},
           "wandb": {"_target_": "jdrl_lightning.callbacks.wandb.wandb_logger", "name": None}}  # fmt: skip


@pytest.fixture(autouse=True)
def restore_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore W&B's environment afterwards."""
    for name in ("WANDB_DATA_DIR", "WANDB_FINISH_TIMEOUT"):
        monkeypatch.setenv(name, "1")
    yield
    wandb.teardown()


def saved_by(run_id: Any, folder: Path) -> Path:
    """A checkpoint in ``folder`` with the id of the W&B run that wrote it."""
    path = folder / "checkpoints" / "last.ckpt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"jdrl_lightning": {"config": {}}, "state_dict": {}, "wandb_run_id": run_id}, path)
    return path


def test_resuming_a_crashed_run_keeps_its_id_and_a_new_run_has_its_own(
    train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = DeblurringModule.training_step

    def crashing(self: DeblurringModule, batch: Any, batch_idx: int) -> Any:
        if self.global_step == 3:
            raise RuntimeError("out of memory")
        return step(self, batch, batch_idx)

    monkeypatch.setattr(DeblurringModule, "training_step", crashing)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(tmp_path / "run", *RUN, "trainer.max_epochs=2")
    monkeypatch.setattr(DeblurringModule, "training_step", step)
    run = train(tmp_path / "run", *RUN, "trainer.max_epochs=2", "ckpt_path=auto")
    crashed, finished = offline.runs(run)
    found = [offline.summary(part) for part in (crashed, finished)]
    assert [part["state"] for part in found] == ["failed", "finished"]
    assert found[0]["run_id"] == found[1]["run_id"]
    assert len(offline.table(crashed, "worst")) == 2
    steps = [item["item"]["trainer/global_step"] for item in offline.records(finished, "history")]
    assert (min(steps), max(steps)) == (2, 4)
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["wandb_run_id"] == found[0]["run_id"]

    another = train(tmp_path / "another", *RUN, "trainer.max_epochs=1", "callbacks.quality=null", "callbacks.best=null")
    assert offline.summary(offline.runs(another)[0])["run_id"] != found[0]["run_id"]


def test_user_settings_take_precedence(tmp_path: Path) -> None:
    path = saved_by("abc123", tmp_path / "earlier")
    loggers = identified(LOGGERS, path, tmp_path / "runs" / "now")
    assert loggers["csv"] == LOGGERS["csv"]
    assert loggers["wandb"] == LOGGERS["wandb"] | {"name": "runs/now", "id": "abc123"}
    theirs = {"wandb": LOGGERS["wandb"] | {"name": "mine", "id": "fresh"}}
    assert identified(theirs, path, tmp_path) == theirs
    assert "id" not in identified(LOGGERS, saved_by(None, tmp_path / "without"), tmp_path)["wandb"]
    assert identified(None, None, tmp_path) == {}


def test_an_agents_run_id_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_RUN_ID", "servers")
    assert "id" not in identified(LOGGERS, saved_by("abc123", tmp_path / "earlier"), tmp_path)["wandb"]


@pytest.mark.parametrize("run_id", ["../../elsewhere", "", 7, ["a"], "a" * 65])
def test_an_invalid_id_in_a_checkpoint_is_refused(run_id: Any, tmp_path: Path) -> None:
    path = saved_by(run_id, tmp_path)
    with pytest.raises(UserError, match=r"last\.ckpt: wandb_run_id is not a valid W&B run id"):
        identified(LOGGERS, path, tmp_path)


def test_the_jobs_of_a_sweep_are_separate_runs_in_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    job = tmp_path / "multirun" / "lam" / "today" / "1"
    with initialize_config_dir(version_base="1.3", config_dir=config.CONF):
        overrides = ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={job.parent}", "hydra.job.num=1"]
        HydraConfig.instance().set_config(compose("train", overrides, return_hydra_config=True))
    own, other = saved_by("own", job), saved_by("other", tmp_path / "elsewhere")
    assert (
        identified(LOGGERS, None, job)["wandb"] | {"group": "lam/today", "name": "today/1"}
        == (identified(LOGGERS, None, job)["wandb"])
    )
    assert identified(LOGGERS, own, job)["wandb"]["id"] == "own"
    assert "id" not in identified(LOGGERS, other, job)["wandb"]
