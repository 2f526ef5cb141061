"""The parts of a configuration are built and filled, or the error is kept."""

from __future__ import annotations

from pathlib import Path

import torch

from jdrl_lightning import UserError, backbones
from jdrl_lightning.diagnosis import components


def test_parts_are_built_and_their_weights_read(tmp_path: Path) -> None:
    torch.save(backbones.create("unet", width=4).network.state_dict(), tmp_path / "w.pth")
    config = {
        "backbone": {"name": "unet", "width": 4, "weights": str(tmp_path / "w.pth")},
        "flow": {"name": "banana"},
        "objective": {"name": "l1"},
    }
    found = components.tried(config)
    assert "46 tensors read" in str(found["backbone"])
    assert isinstance(found["flow"], UserError)
    assert found["objective"] == "l1: supervised from epoch 0"
