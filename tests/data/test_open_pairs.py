"""Every data set on disk can be opened from files or packed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning import Pair, UserError, data

SETS = ("folder", "dpdd", "sdd", "realdof", "lfdof", "pixeldp", "cuhk", "stack")


def replace(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> list[tuple[Any, ...]]:
    """Replace another module's data set; returns the list of its calls' arguments."""
    calls: list[tuple[Any, ...]] = []
    pair = Pair(torch.zeros(3, 48, 48), torch.zeros(3, 48, 48), "a", {})

    def make(*arguments: Any) -> list[Pair]:
        calls.append(arguments)
        return [pair]

    monkeypatch.setitem(sys.modules, f"jdrl_lightning.data.{module}", SimpleNamespace(**{name: make}))  # type: ignore[misc]
    return calls


@pytest.mark.parametrize("name", SETS)
def test_a_packed_folder_needs_no_image_files(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packed, streamed = (
        replace(monkeypatch, "storage.pack", "PackedPairs"),
        replace(monkeypatch, "storage.litdata_pairs", "StreamedPairs"),
    )
    settings = {"split": "test", "seed": 0, "crop": 8, "root": str(tmp_path)}
    assert len(data.create(name, **settings, store="packed")) == 1
    assert packed == [(tmp_path, "test")]
    assert data.create(name, **settings, store="litdata")[0].name == "a"
    assert streamed == [(str(tmp_path), "test")]


@pytest.mark.parametrize("name", ["folder", "dpdd"])
def test_packed_training_pairs_need_no_image_files(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    packed = replace(monkeypatch, "storage.pack", "PackedPairs")
    data.create(name, split="train", seed=0, crop=8, root=tmp_path, store="packed")
    assert packed == [(tmp_path, "train")]


def test_packed_pairs_are_registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace(monkeypatch, "storage.pack", "PackedPairs")
    found = data.create("folder", split="val", seed=0, crop=8, root=tmp_path, store="packed", register="affine")
    assert found.motions.shape == (1, 2, 3)


@pytest.mark.parametrize("name", SETS)
def test_unknown_store(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.store='zip' is not one of files, packed, litdata"):
        data.create(name, split="test", seed=0, crop=8, root=tmp_path, store="zip")
