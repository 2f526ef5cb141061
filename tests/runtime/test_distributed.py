"""The number of requested devices, the launcher and the rank."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from jdrl_lightning.runtime import distributed


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("SLURM_NTASKS", "SLURM_STEP_ID", "SLURM_JOB_ID", "TORCHELASTIC_USE_AGENT_STORE")
    for key in (*distributed.RANK_VARIABLES, *others):
        monkeypatch.delenv(key, raising=False)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 1),
        ({"devices": 4}, 4),
        ({"devices": "4"}, 4),
        ({"devices": [2, 3]}, 2),
        ({"devices": "2,3"}, 2),
        ({"devices": "2,"}, 1),
        ({"devices": "auto", "accelerator": "cpu"}, 1),
        ({"devices": "auto", "accelerator": "gpu"}, 3),
        ({"devices": -1}, 3),
        ({"devices": "many"}, 1),
        ({"devices": None}, 1),
    ],
)
def test_devices_are_counted_like_lightning(
    settings: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert distributed.requested_devices(settings) == count


@pytest.mark.parametrize(
    ("variables", "launcher", "number"),
    [
        ({}, None, 0),
        ({"RANK": "5", "LOCAL_RANK": "1"}, "torchrun", 5),
        ({"SLURM_NTASKS": "4", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3"}, "srun", 3),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, None, 0),  # a batch script without srun
        ({"SLURM_NTASKS": "1", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0"}, None, 0),
    ],
)
def test_launcher_and_rank_of_this_process(
    variables: dict[str, str], launcher: str | None, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    assert distributed.launched_by() == launcher
    assert distributed.rank() == number


@pytest.mark.parametrize(
    ("ranks", "pooled", "given", "threads"),
    [(1, False, None, 8), (2, False, None, 4), (16, False, None, 1), (2, False, "3", 3), (2, True, "4", 2)],
)
def test_ranks_share_the_cores(
    ranks: int, pooled: bool, given: str | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "allowed_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert distributed.threads_of_rank(ranks, pooled) == threads
