"""What is registered with Hydra, and which settings make a run another one."""

from __future__ import annotations

import copy
import hashlib
from datetime import datetime
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from jdrl_lightning.cli import config
from jdrl_lightning.runtime import distributed

SETTINGS: dict[str, Any] = {
    "backbone": {"name": "unet", "width": 16},
    "data": {"root": "here", "crop": 64, "num_workers": 2, "on_error": "raise"},
    "seed": 0,
    "callbacks": {"panels": None},
}


def test_the_config_store_is_not_deep_copied() -> None:
    config.register()
    assert copy.deepcopy({"store": ConfigStore.instance()})["store"] is ConfigStore.instance()


def test_the_run_id_is_the_time_or_sruns_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in (*distributed.RANK_VARIABLES, "SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.delenv("TORCHELASTIC_USE_AGENT_STORE", raising=False)
    config.register()
    named = OmegaConf.create({"id": "${run_id:}"})
    assert abs((datetime.strptime(named.id, "%Y%m%d-%H%M%S") - datetime.now()).total_seconds()) < 5
    for key, value in {"SLURM_NTASKS": "2", "SLURM_STEP_ID": "1", "SLURM_JOB_ID": "77"}.items():
        monkeypatch.setenv(key, value)
    assert OmegaConf.create({"id": "${run_id:}"}).id == "77-1"


def test_plain_resolves_and_refuses_missing_values() -> None:
    found = config.plain(OmegaConf.create({"a": {"b": [1, "${c}"]}, "c": "text"}))
    assert found == {"a": {"b": [1, "text"]}, "c": "text"}
    assert (type(found["a"]), type(found["a"]["b"])) == (dict, list)
    with pytest.raises(MissingMandatoryValue, match=r"a\.b"):
        config.plain(OmegaConf.create({"a": {"b": "???"}}))


@pytest.mark.parametrize(
    "other",
    [
        {"callbacks": {"panels": {"every": 2}}, "logger": "wandb", "run_dir": "there"},
        {"data": SETTINGS["data"] | {"num_workers": 8, "on_error": "skip"}},
        {"data": dict(reversed(SETTINGS["data"].items()))},
    ],
)
def test_settings_that_leave_a_run_the_same(other: dict[str, Any]) -> None:
    assert config.config_hash(SETTINGS | other) == config.config_hash(SETTINGS)


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1}, {"backbone": {"name": "unet", "width": 32}}, {"data": SETTINGS["data"] | {"crop": 32}},
        {"optim": {"lr": 1.0}}, {"objective": {}}, {"flow": "dis"},
    ],
)  # fmt: skip
def test_settings_that_make_another_run(other: dict[str, Any]) -> None:
    assert config.config_hash(SETTINGS | other) != config.config_hash(SETTINGS)


def test_the_hash_is_of_sorted_json() -> None:
    """It is stored in checkpoints and decides what ``ckpt_path=auto`` resumes, so it must not change."""
    text = (
        '{"backbone": {"name": "unet", "width": 16}, "data": {"crop": 64, "root": "here"}, "flow": null, '
        '"objective": null, "optim": null, "seed": 0}'
    )
    assert config.config_hash(SETTINGS) == hashlib.sha256(text.encode()).hexdigest()[:12]
