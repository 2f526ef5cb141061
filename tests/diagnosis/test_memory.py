"""Counted memory of a step: nothing is computed, and it grows with the crops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from jdrl_lightning.diagnosis.memory import available_mib, step_mib

SMALL = ("backbone.width=4", "data=leaves", "data.crop=64", "objective.reblur.width=4")


def test_a_step_needs_more_for_more_crops(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    two, eight = (step_mib(composed(tmp_path, *SMALL, f"data.batch_size={batch}")) for batch in (2, 8))
    assert 3 < eight / two < 4.1  # weights do not grow
    plain = step_mib(composed(tmp_path, *SMALL[:3], "objective=charbonnier", "data.batch_size=2"))
    assert 1 < plain < two


def test_weights_count_with_gradient_and_moments(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    given = ("data=leaves", "objective=charbonnier", "data.crop=16", "data.batch_size=1", "backbone=unet")
    assert step_mib(composed(tmp_path, *given)) > 4 * 31_033_411 * 4 / 2**20


def test_free_memory_is_less_than_there_is() -> None:
    free = available_mib(torch.device("cpu"))
    assert free is None or 0 < free < 2**24
