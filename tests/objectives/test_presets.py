"""Presets in Python and the settings over them; ``tests/test_conf.py`` compares each preset with its yaml file."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from jdrl_lightning import objectives

FLOW = {"name": "gauss_newton"}


@pytest.mark.parametrize(
    ("name", "mask", "warp", "reduction"),
    [
        ("jdrl", "magnitude", "exact", "mean"),
        ("jdrl_official", "colorwheel", "legacy", "mean"),
        ("jdrl_robust", "consistency", "exact", "masked_mean"),
    ],
)
def test_a_setting_replaces_the_presets_and_leaves_its_others(name: str, mask: str, warp: str, reduction: str) -> None:
    preset, changed = (objectives.create(name, flow=FLOW, **settings) for settings in ({}, {"mask": "none"}))
    assert (preset.mask, changed.mask) == (mask, "none")
    for objective in (preset, changed):
        assert (objective.grid, objective.reduction) == (warp, reduction)


@pytest.mark.parametrize(("settings", "init"), [({}, "xavier"), ({"init": "he"}, "he")])
def test_settings_of_the_reblurring_network_are_merged(settings: dict[str, str], init: str) -> None:
    """The official preset starts as Xavier does, σ² = 2 / (fan_in + fan_out), whatever the width."""
    torch.manual_seed(0)
    objective = objectives.create("jdrl_official", flow=FLOW, reblur={"width": 48, "levels": 3} | settings)
    layers = [m for m in objective.reblur.modules() if isinstance(m, nn.Conv2d) and m.weight.numel() > 10_000]
    assert layers
    for layer in layers:
        inputs, outputs = 9 * layer.in_channels, 9 * layer.out_channels
        variance = {"xavier": 2 / (inputs + outputs), "he": 2 / inputs}[init]
        assert float(layer.weight.detach().std()) == pytest.approx(math.sqrt(variance), rel=0.05)


@pytest.mark.parametrize("name", ["charbonnier", "l1", "mse", "psnr"])
def test_plain_supervision_needs_neither_flow_nor_reblurring(name: str) -> None:
    objective = objectives.create(name)
    assert objective.known_terms == ("pixel",)
    assert not list(objective.parameters())
