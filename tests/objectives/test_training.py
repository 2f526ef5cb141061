"""The rival objectives in training: the loss falls, and a resumed run is the uninterrupted one, through all stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from conftest import TINY
from jdrl_lightning import Pair, backbones, objectives
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.training.fit import fit

OF = {"name": "compact", "width": 8, "blocks": [1, 1]}
FLOW: dict[str, Any] = {"flow": {"name": "gauss_newton"}}
REBLUR: dict[str, Any] = {**FLOW, "reblur": {"width": 4, "levels": 3}}
SETTINGS: dict[str, dict[str, Any]] = {
    "fdl": {"projections": 16},
    "cobi": {},
    "gcm": FLOW,
    "mimicked": REBLUR,
    "jdrl_map": {**REBLUR, "flow_of": "crop"},
    "jdrl_map_official": REBLUR,
}
GUIDED = {"jdrl_map": 1, "jdrl_map_official": 5}  # channels of the map


@pytest.mark.parametrize("name", SETTINGS)
def test_the_loss_falls_in_twenty_steps(name: str, photo: Tensor) -> None:
    """Of mimicked alignment that of its own network: the blurrier the image that it makes, the harder to restore."""
    torch.manual_seed(0)
    network = backbones.create("compact", **{key: value for key, value in OF.items() if key != "name"})
    if name in GUIDED:
        network = backbones.create("guided", of=network, channels=GUIDED[name], width=4)
    objective = objectives.create(name, **SETTINGS[name])
    stage = objective.schedule.stages[-1]
    region = photo[None, :, 100:149, 150:199] / 255
    aligned, sharp = region[..., :48, :48], region[..., 1:, 1:]
    pair = Pair(torch.nn.functional.avg_pool2d(aligned, 5, 1, 2, count_include_pad=False), sharp, ["a"], {})
    optimizer = torch.optim.Adam([*network.parameters(), *objective.parameters()], lr=2e-3)
    losses = []
    for _ in range(20):
        used = objective.prepare(pair, stage)
        total, terms, _ = objective(network(used.blurry), used, stage)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(float(terms.get("mimic", total).detach()))
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_resumed_run_is_the_uninterrupted_one(
    name: str, composed: Callable[..., dict[str, Any]], pairs_folder: Path, tmp_path: Path
) -> None:
    """One epoch, then a second, of the joint stage where there is one."""
    reblurs = "reblur" in SETTINGS[name]
    settings = [s for s in TINY if reblurs or not s.startswith("objective.reblur")]
    settings += [f"objective={name}", f"data.root={pairs_folder}", "trainer.limit_train_batches=2"]
    settings += ["objective.projections=8"] if name == "fdl" else []
    settings += ["callbacks.best=null", "monitor=val/gt/psnr"]
    if name in GUIDED:
        settings += [
            "backbone=guided", "backbone.of.width=4", "backbone.of.blocks=[1,1]", f"backbone.channels={GUIDED[name]}",
            "objective.warmup_epochs=1",
        ]  # fmt: skip

    def run(folder: str, *more: str) -> dict[str, Tensor]:
        fit(composed(tmp_path / folder, *settings, *more), tmp_path / folder)
        state: dict[str, Tensor] = read_checkpoint(tmp_path / folder / "checkpoints" / "last.ckpt")["state_dict"]
        return state

    whole = run("whole", "trainer.max_epochs=2")
    half = run("parts", "trainer.max_epochs=1")
    resumed = run("parts", "trainer.max_epochs=2", f"ckpt_path={tmp_path / 'parts/checkpoints/last.ckpt'}")
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    assert any(not torch.equal(value, resumed[key]) for key, value in half.items())
