"""The finders leave nothing behind, and a proposal says what they found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning.diagnosis.proposal import proposed, with_found
from jdrl_lightning.training import tuning


def test_a_rate_of_those_tried_is_found(
    composed: Callable[..., dict[str, Any]], pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "STEPS", 30)
    small = ("backbone=unet_small", "backbone.width=4", "objective=jdrl_quick", "objective.reblur.width=4")
    data = ("data=folder", f"data.root={pairs_folder}", "data.crop=32", "data.batch_size=2")
    before = {path: path.stat().st_mtime for path in pairs_folder.rglob("*")}
    found = tuning.tuned(composed(tmp_path, *small, *data, "trainer.accelerator=cpu"))
    assert found.lr is not None
    assert tuning.LOWEST <= found.lr <= tuning.HIGHEST
    assert found.batch_size is None
    assert {path: path.stat().st_mtime for path in pairs_folder.rglob("*")} == before
    assert not list(tmp_path.iterdir())


def test_a_network_from_scratch_takes_the_rate() -> None:
    given = with_found(proposed({"name": "folder"}, "beyond", 500, 512, gpu=True), 0.000876, 64)
    assert given.values["optim"] == {"optimizer": {"lr": 0.00088}}
    assert given.reasons[-2:] == [
        "up to 64 crops a step fit into the GPU's memory",
        "learning rate by the finder: 8.8e-04",
    ]


def test_one_that_is_fitted_keeps_its_own() -> None:
    before = proposed({"name": "folder"}, "beyond", 9, 200, gpu=False)
    given = with_found(before, 4e-6, None)
    assert given.values == before.values
    assert given.reasons[-1] == (
        "the learning-rate finder suggests 4.0e-06; kept 1.0e-04, as the network is trained already"
    )


def test_no_rate_is_said() -> None:
    before = proposed({"name": "folder"}, "beyond", 500, 512, gpu=True)
    given = with_found(before, None, None)
    assert given.values == before.values
    assert given.reasons[-1] == "the learning-rate finder found no rate at which the loss falls"
