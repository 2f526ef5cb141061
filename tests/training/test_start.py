"""What a training says that it starts from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.module import CHECKPOINT_KEY
from jdrl_lightning.runtime.distributed import allowed_cores
from jdrl_lightning.training import start


def checkpoint(done: Any, **stored: Any) -> dict[str, Any]:
    progress = {"fit_loop": {"epoch_progress": {"current": {"processed": done}}}}
    return {"loops": progress, CHECKPOINT_KEY: {"config": stored}}


@pytest.mark.parametrize(("backbone", "words"), [
    ({"name": "unet", "weights": None}, "from scratch"),
    ({"name": "unet"}, "from scratch"),
    ({"name": "unet", "weights": "a/b.pth"}, "from the weights of a/b.pth"),
    ({"name": "spandrel", "path": "a/b.pth"}, "from the weights of a/b.pth"),
    ({"name": "compact", "weights": "builtin"}, "from the weights that come with the package"),
    ({"name": "guided", "of": {"weights": "builtin"}}, "from the weights that come with the package"),
    ({"name": "guided", "of": {"weights": "a.pth"}, "weights": "b.pth"}, "from the weights of b.pth"),
    ({"name": "guided", "of": {"weights": None}, "weights": None}, "from scratch"),
])  # fmt: skip
def test_the_first_weights_are_named(backbone: dict[str, Any], words: str) -> None:
    assert start.started_from(backbone) == words


def test_what_changed_since_the_checkpoint_is_said() -> None:
    path, config = Path("run/checkpoints/last.ckpt"), {"trainer": {"max_epochs": 9}, "seed": 1, "optim": {"lr": 2}}
    stored = checkpoint(4, seed=0, optim={"lr": 2}, hash="another")
    assert start.resumed(path, stored, config) == f"resuming from {path}, 4 of 9 epochs done; changed since: seed 0 → 1"
    assert start.resumed(path, stored, config | {"seed": 0}) == f"resuming from {path}, 4 of 9 epochs done"


@pytest.mark.parametrize(("done", "asked", "finished"), [
    (4, 4, True), (3, 4, False), (5, 4, False), (4, -1, False), (4, None, False), (0, 0, False), ("4", 4, False),
])  # fmt: skip
def test_a_finished_run_is_complete(done: Any, asked: Any, finished: bool) -> None:
    line = start.complete(Path("last.ckpt"), checkpoint(done), {"trainer": {"max_epochs": asked}})
    assert (line is not None) == finished
    if line:
        assert line == "complete: last.ckpt has all 4 epochs; train on with trainer.max_epochs=<more than 4>"


def test_the_place_is_named_and_crowding_is_a_warning() -> None:
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer: Any = SimpleNamespace(strategy=strategy, world_size=2, precision="bf16-mixed")
    assert start.placed(trainer) == f"device: CPU, {allowed_cores()} cores; 2 processes; precision bf16-mixed"
    line = "4 processes share 2 cores without a GPU, which is slower than trainer.devices=2"
    assert start.crowded(torch.device("cpu"), 4, 2) == line
    assert start.crowded(torch.device("cpu"), 2, 2) is None
    assert start.crowded(torch.device("cuda"), 4, 2) is None


def test_trained_parameters_are_counted_by_part() -> None:
    parts = torch.nn.ModuleDict({"backbone": torch.nn.Linear(1000, 2000, bias=False), "none": torch.nn.ReLU()})
    assert start.sizes(parts) == "backbone 2 million"


def test_a_checkpoint_that_counts_no_epochs_has_none() -> None:
    assert [start.epochs_done(content) for content in ({}, {"loops": None}, checkpoint("many"))] == [0, 0, 0]


def test_the_metrics_of_a_finished_run(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"metrics": {"a": 1, "b": null}}')
    found = start.final_metrics([tmp_path / "absent", tmp_path])
    assert found["a"] == 1.0
    assert found["b"] != found["b"]
    assert start.final_metrics([tmp_path / "absent"]) == {}
