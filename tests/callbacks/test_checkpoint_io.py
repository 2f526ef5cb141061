from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest
import torch

from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO


class Unwritable:
    def __reduce__(self) -> NoReturn:
        raise InterruptedError


def test_a_failed_save_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"weights": torch.arange(3.0)}, path)
    with pytest.raises(InterruptedError):
        AtomicCheckpointIO().save_checkpoint({"weights": torch.zeros(10_000), "state": Unwritable()}, path)
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]
    assert torch.equal(torch.load(path, weights_only=True)["weights"], torch.arange(3.0))
