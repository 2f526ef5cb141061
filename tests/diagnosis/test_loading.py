"""Loading and a training step are timed, and the slower one is reported."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from conftest import TINY
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.diagnosis import loading
from jdrl_lightning.types import Pair


def test_loading_is_timed() -> None:
    class Slow(Dataset[Pair]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Pair:
            time.sleep(0.05)
            image = torch.zeros(3, 40, 40, dtype=torch.uint8)
            return Pair(image, image, str(index), {})

    assert 10 < loading.loaded(TrainingCrops(Slow(), 32, 0), range(6)) <= 20


def test_a_step_is_timed_with_precomputed_flow(composed: Callable[..., Any], tmp_path: Path) -> None:
    config = composed(tmp_path, *TINY, "data.root=nowhere", "objective=jdrl_robust", "objective.flow_of=picture")
    crop = Pair(torch.rand(3, 32, 32), torch.rand(3, 32, 32), "a", {})
    assert loading.trained(config, [crop, crop], torch.device("cpu")) > 0


def test_rates_that_are_only_a_hint_are_called_rough() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert loading.rough(gpu, 3.0) is None
    assert (
        loading.rough(gpu, 0.25) == "Rough: files were read for only 0.2 s; train/images_per_s of a training is exact."
    )
    assert "extrapolated from one crop of 64 px; " in (loading.rough(cpu, 3.0) or "")


@pytest.mark.parametrize(
    ("loads", "takes", "workers", "message"),
    [
        (100, 1, 0, "keeps up with training: it takes 1.0% of the time"),
        (30, 60, 0, "bottleneck: training waits for loading 67% of the time, since data.num_workers=0. Set data.num_w"),
        (60, 20, 0, "Training waits for loading 25% of the time, since data.num_workers=0. Set data.num_workers=1; or"),
        (50, 60, 2, "keeps up with training: data.num_workers=2 loads about 100 crops per second"),
        (50, 190, 2, "bottleneck: data.num_workers=2 loads about 100 crops per second. Set data.num_workers=4; or"),
        (50, 900, 8, "about 200 crops per second. Loading would need 18 cores, but there are 4"),
    ],
)  # fmt: skip
def test_whether_training_waits_for_loading(
    loads: float, takes: float, workers: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    text = loading.bottleneck(loading.Rates(loads, takes, workers))
    assert message in text
    assert ("prepare pack" in text) == ("keeps up" not in text)
    assert "prepare pack" not in loading.bottleneck(loading.Rates(loads, takes, workers, packable=False))
