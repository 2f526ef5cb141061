"""Counted costs are those of the network; a step needs more than restoring."""

from __future__ import annotations

import torch

from jdrl_lightning import backbones
from jdrl_lightning.diagnosis.costs import counted, timed
from small import BACKBONES


def test_size_and_memory() -> None:
    settings = {"name": "unet", **BACKBONES["unet"]}
    small, large = counted(settings, 64), counted(settings, 128)
    assert small.parameters == sum(p.numel() for p in backbones.create(**settings).parameters())
    assert small.multiply_adds == large.multiply_adds
    assert 2.9 < large.restore_mib / small.restore_mib < 4.1  # of four times the pixels, and constants
    assert large.step_mib > large.restore_mib


def test_time_is_measured() -> None:
    found = timed({"name": "unet", **BACKBONES["unet"]}, 32, torch.device("cpu"), 1)
    assert found.restore > 0
    assert found.step > 0
