"""An image that becomes unreadable after the initial check is named, or replaced and counted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.data.augment import augment
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.random_crops import TrainingCrops

KEYS = [(epoch, item) for epoch in (0, 3) for item in range(8)]


@pytest.fixture
def mine(pairs_folder: Path, tmp_path: Path) -> Path:
    """A copy of the pairs, to be damaged."""
    return shutil.copytree(pairs_folder, tmp_path / "mine")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def test_only_the_crops_of_the_damaged_pair_change_reproducibly(mine: Path) -> None:
    pairs = FolderPairs(mine, "train")
    before = [TrainingCrops(pairs, 24, 0, skip=True)[key] for key in KEYS]
    truncate(mine / "train" / "gt" / "03.png")
    crops = TrainingCrops(pairs, 24, 0, skip=True)
    after = [crops[key] for key in KEYS]
    again = [TrainingCrops(pairs, 24, 0, skip=True)[key] for key in reversed(KEYS)][::-1]
    for key, old, new, same in zip(KEYS, before, after, again, strict=True):
        assert torch.equal(new.blurry, same.blurry)
        assert new.name == same.name
        if old.name == "03":
            other = next(pair for pair in (pairs[i] for i in range(8) if i != 3) if pair.name == new.name)
            assert torch.equal(new.blurry, augment(other, 24, 0, *key).blurry)
        else:
            assert torch.equal(new.blurry, old.blurry)
    assert crops.skipped == 2
    assert (
        len({new.name for old, new in zip(before, after, strict=True) if old.name == "03"}) == 2
    )  # not always the same one


def test_the_error_names_the_file_and_both_remedies(mine: Path) -> None:
    crops = TrainingCrops(FolderPairs(mine, "train"), 24, 0)
    truncate(mine / "train" / "blur" / "03.png")
    with pytest.raises(UserError, match=r"blur/03\.png: cannot be read .*; data\.on_error=skip trains without it"):
        crops[0, 3]


def test_no_readable_pair_is_an_error(mine: Path) -> None:
    crops = TrainingCrops(FolderPairs(mine, "train"), 24, 0, skip=True)
    for path in (mine / "train" / "gt").iterdir():
        truncate(path)
    with pytest.raises(UserError, match="none of the 8 training pairs can be read"):
        crops[0, 3]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_training_counts_them_and_resumes_bit_exactly(
    workers: int, mine: Path, train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Each epoch has two crops per pair."""
    settings = (f"data.root={mine}", "trainer.max_epochs=2", "callbacks.best=null", "optim.optimizer.lr=1e-3")
    loading = ("data.on_error=skip", f"data.num_workers={workers}")
    original = FolderPairs.__init__

    def open_then_damage(self: FolderPairs, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        if self.places[0].blurry.parent.parent.name == "train":
            truncate(mine / "train" / "gt" / "03.png")

    with monkeypatch.context() as patched:
        patched.setattr(FolderPairs, "__init__", open_then_damage)
        run = train(tmp_path / "a" / "run", *settings, *loading)
    messages = [record.getMessage() for record in caplog.records]
    assert [line for line in messages if "were replaced" in line] == [
        f"epoch {epoch}: 2 crops of pairs that cannot be read were replaced" for epoch in (0, 1)
    ]
    monkeypatch.setattr("jdrl_lightning.data.pairs.check_sizes", lambda *_: None)
    monkeypatch.setattr("jdrl_lightning.data.pairs.check_readable", lambda *_: None)
    half = tmp_path / "b" / "run"
    train(half, *settings, *loading, "trainer.max_epochs=1")
    train(half, *settings, *loading, "ckpt_path=auto")
    expected, found = (read_checkpoint(r / "checkpoints" / "last.ckpt")["state_dict"] for r in (run, half))
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    if workers:
        with pytest.raises(UserError) as error:
            train(tmp_path / "c" / "run", *settings, "data.num_workers=2")
        assert str(error.value).startswith(f"{mine}/train/gt/03.png: cannot be read")
        assert "\n" not in str(error.value)
        skipping = train(half, *settings, *loading, "trainer.max_epochs=3", "data.num_workers=0", "ckpt_path=auto")
        assert read_checkpoint(skipping / "checkpoints" / "last.ckpt")["epoch"] == 2  # resumed as the same run
