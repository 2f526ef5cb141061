"""The components of a configuration are built with their weights, or the error is returned."""

from __future__ import annotations

from pathlib import Path

import torch

from jdrl_lightning import UserError, backbones
from jdrl_lightning.diagnosis import components


def test_components_are_built_with_their_weights(tmp_path: Path) -> None:
    torch.save(backbones.create("unet", width=4).network.state_dict(), tmp_path / "w.pth")
    config = {
        "backbone": {"name": "unet", "width": 4, "weights": str(tmp_path / "w.pth")},
        "flow": {"name": "banana"},
        "objective": {"name": "l1"},
    }
    found = components.tried(config)
    assert "46 tensors loaded" in str(found["backbone"])
    assert isinstance(found["flow"], UserError)
    assert found["objective"] == "l1: supervised from epoch 0"
