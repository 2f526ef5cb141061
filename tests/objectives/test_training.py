"""The rival objectives in training: the loss falls, and a resumed run is the uninterrupted one, through all stages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing import spawn
from torch.nn.parallel import DistributedDataParallel

from conftest import TINY
from jdrl_lightning import Pair, backbones, objectives
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.objectives.schedule import Stage
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
    "mimicked network": {**FLOW, "mimic": "network", "width": 4},
    "jdrl_map radius": {**REBLUR, "flow_of": "crop", "map": "radius"},
}
GUIDED = {"jdrl_map": 1, "jdrl_map_official": 5, "jdrl_map radius": 1}  # channels of the map
MORE = {
    "fdl": ["objective.projections=8"],
    "mimicked network": ["objective.mimic=network", "objective.width=4"],
    "jdrl_map radius": ["objective.map=radius"],
}


class Step(nn.Module):
    """A step's losses, with all that is trained inside, as DDP needs it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.network = backbones.create("compact", **{key: value for key, value in OF.items() if key != "name"})
        if name in GUIDED:
            self.network = backbones.create("guided", of=self.network, channels=GUIDED[name], width=4)
        self.objective, self.heads = objectives.create(name.split()[0], **SETTINGS[name]), self.network.auxiliary()

    def forward(self, pair: Pair, stage: Stage) -> tuple[Tensor, Tensor]:
        """What is minimised, and what should fall."""
        used = self.objective.prepare(pair, stage)
        restored = self.network(used.blurry)
        total, terms, _ = self.objective(restored, used, stage)
        total = total + sum(self.heads(self.network, restored, used).values())
        return total, terms.get("mimic", total).detach()


def train_on_a_rank(rank: int, folder: Path) -> None:
    """Twenty steps of every objective, each rank with a region of its own; rank 0 writes the mean losses."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
    photo = torch.load(folder / "photo.pt", weights_only=True)
    region = photo[None, :, 100 + 60 * rank :, 150:199][:, :, :49] / 255
    aligned, sharp = region[..., :48, :48], region[..., 1:, 1:]
    pair = Pair(nn.functional.avg_pool2d(aligned, 5, 1, 2, count_include_pad=False), sharp, ["a"], {})
    losses: dict[str, list[float]] = {}
    for name in SETTINGS:
        torch.manual_seed(0)
        step = Step(name)
        stage = step.objective.schedule.stages[-1]
        alike = DistributedDataParallel(step, find_unused_parameters=step.objective.find_unused_parameters)
        optimizer = torch.optim.Adam(step.parameters(), lr=2e-3)
        for _ in range(20):
            total, shown = alike(pair, stage)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            dist.all_reduce(shown)
            losses.setdefault(name, []).append(float(shown) / 2)
    if rank == 0:
        (folder / "losses.json").write_text(json.dumps(losses))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def losses_of_two_ranks(photo: Tensor, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[float]]:
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(photo, folder / "photo.pt")
    spawn(train_on_a_rank, (folder,), nprocs=2)
    found: dict[str, list[float]] = json.loads((folder / "losses.json").read_text())
    return found


@pytest.mark.parametrize("name", SETTINGS)
def test_the_loss_falls_in_twenty_steps_on_two_ranks(name: str, losses_of_two_ranks: dict[str, list[float]]) -> None:
    """Of mimicked alignment that of its own network: the blurrier the image that it makes, the harder to restore."""
    losses = losses_of_two_ranks[name]
    assert len(losses) == 20
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_resumed_run_is_the_uninterrupted_one(
    name: str, composed: Callable[..., dict[str, Any]], pairs_folder: Path, tmp_path: Path
) -> None:
    """One epoch, then a second, of the joint stage where there is one."""
    reblurs = "reblur" in SETTINGS[name]
    settings = [s for s in TINY if reblurs or not s.startswith("objective.reblur")]
    settings += [
        f"objective={name.split()[0]}",
        *MORE.get(name, ()),
        f"data.root={pairs_folder}",
        "trainer.limit_train_batches=2",
    ]
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
