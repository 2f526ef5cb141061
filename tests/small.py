"""Every component of ours, small enough for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones.base import Backbone

BACKBONES: dict[str, dict[str, Any]] = {
    "unet": {"width": 4, "dropout": 0.0},
    "dpdnet": {"width": 4, "dropout": 0.0},
    "mprnet": {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1},
    "ifan": {"n_filters": 2, "width": 4},
    "compact": {"width": 4, "blocks": [1, 1]},
    "guided": {"of": {"name": "compact", "width": 4, "blocks": [1, 1]}, "width": 4},
    "dmphn": {"width": 4},
    "kpac": {"width": 4},
    "drbnet": {"width": 4},
    "restormer": {"dim": 8, "num_blocks": [1, 1, 1, 1], "num_refinement_blocks": 1},
    "nafnet": {"width": 4, "enc_blk_nums": [1, 1, 1, 1]},
    "gkmnet": {"width": 4},
    "iniknet": {"width": 4, "bases": 3},
    "timm_unet": {"encoder": "mobilenetv3_small_050", "width": 4},
}


def backbone_settings(name: str, folder: Path) -> dict[str, Any]:
    """Settings of ``backbones.create(name, **settings)``; spandrel recognises its network from a file in ``folder``."""
    if name != "spandrel":
        return BACKBONES[name]
    file = folder / "small_nafnet.pth"
    if not file.exists():
        torch.save({"params": backbones.create("nafnet", **BACKBONES["nafnet"]).network.state_dict()}, file)
    return {"path": str(file)}


def drawn(name: str) -> Backbone:
    """A small network in eval mode without zero layers: with a zero last layer it would return its input."""
    torch.manual_seed(0)
    backbone = backbones.create(name, **BACKBONES[name]).eval()
    for parameter in backbone.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return backbone


def flow_settings(name: str) -> dict[str, Any]:
    """Settings of ``flow.create(name, **settings)``."""
    return {"weights": "random"} if name in ("pwcnet", "raft_small", "raft_large") else {}
