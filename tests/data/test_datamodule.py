from __future__ import annotations

import os
import signal
import socket
import sys
from multiprocessing.resource_sharer import DupFd
from pathlib import Path

import pytest
import torch

from jdrl_lightning import Pair, UserError
from jdrl_lightning.data.augment import augment
from jdrl_lightning.data.datamodule import PairDataModule, TrainingCrops
from jdrl_lightning.data.loader_worker import prepare_worker
from jdrl_lightning.data.pairs import FolderPairs


def test_crops_are_a_pure_function_of_seed_epoch_and_item(pairs_folder: Path) -> None:
    pairs = FolderPairs(pairs_folder, "train")
    one, other = (TrainingCrops(pairs, 24, seed) for seed in (0, 1))
    again = TrainingCrops(FolderPairs(pairs_folder, "train"), 24, 0)
    for key in ((0, 0), (3, 11)):
        assert torch.equal(one[key].blurry, again[key].blurry)
        assert torch.equal(one[key].sharp, again[key].sharp)
    assert any(not torch.equal(one[0, i].blurry, other[0, i].blurry) for i in range(4))
    assert any(not torch.equal(one[0, i].blurry, one[1, i].blurry) for i in range(4))


def test_without_augmentation_every_epoch_has_the_same_upright_crops(pairs_folder: Path) -> None:
    crops = TrainingCrops(FolderPairs(pairs_folder, "train"), 48 - 8, 0, augmented=False)
    assert torch.equal(crops[0, 5].blurry, crops[7, 5].blurry)


def test_the_official_rule_never_reaches_the_last_rows() -> None:
    rows = torch.arange(64, dtype=torch.uint8).view(1, 64, 1).expand(3, 64, 64).contiguous()
    pair = Pair(rows, rows, "ramp", {})
    last = {
        rule: max(int(augment(pair, 32, 0, 0, i, False, rule).blurry.max()) for i in range(300))
        for rule in ("uniform", "official")
    }
    assert last == {"uniform": 63, "official": 32 + 15 - 1 + 0}


def test_validation_uses_whole_images(pairs_folder: Path) -> None:
    data = PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop=24, batch_size=2)
    shapes = [tuple(batch.blurry.shape) for batch in data.val_dataloader()]
    assert shapes == [(1, 3, 48, 40)] * 2


@pytest.mark.parametrize(("repeat", "batches"), [(None, 100), (1, 2), (7, 14)])
def test_a_small_folder_makes_an_epoch_of_400_crops(repeat: int | None, batches: int, pairs_folder: Path) -> None:
    data = PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop=24, batch_size=4, repeat=repeat)
    assert len(data.train_dataloader()) == batches  # of eight pairs


def test_fewer_crops_than_one_batch_are_refused(pairs_folder: Path) -> None:
    data = PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop=24, batch_size=16)
    with pytest.raises(UserError, match=r"data\.repeat"):
        data.train_dataloader()
    with pytest.raises(UserError, match="crop_rule"):
        PairDataModule(lambda split: FolderPairs(pairs_folder, split), crop_rule="corner")


class LostTrainer(FolderPairs):
    """Its worker's connection to the trainer breaks while it sends something; it then sends something else."""

    def __getitem__(self, index: int) -> Pair:
        address = DupFd(1)._id[0]
        with socket.socket(socket.AF_UNIX) as trainer:
            trainer.connect(address)
        os.close(DupFd(1).detach())  # answered after the first
        return super().__getitem__(index)


def test_other_errors_of_a_worker_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: shown.append(kind))
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    prepare_worker(0)
    for error in (ConnectionResetError(), BrokenPipeError(), EOFError(), KeyError("x"), FileNotFoundError("x")):
        sys.excepthook(type(error), error, None)
    assert shown == [KeyError, FileNotFoundError]


def test_workers_are_silent_when_the_trainer_has_exited(pairs_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = PairDataModule(lambda split: LostTrainer(pairs_folder, split), num_workers=1)
    assert len(list(data.val_dataloader())) == 2
    assert capfd.readouterr().err == ""
