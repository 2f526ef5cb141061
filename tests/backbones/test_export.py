"""The two networks whose own tests do not export them."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning import backbones
from small import BACKBONES


@pytest.mark.parametrize("name", ["unet", "timm_unet"])
def test_an_export_serves_other_sizes(name: str) -> None:
    network = backbones.create(name, **BACKBONES[name]).eval().network
    for parameter in network.parameters():  # a zero last layer would give back the image, whatever was exported
        torch.nn.init.normal_(parameter, std=0.1)
    auto = torch.export.Dim.AUTO
    program = torch.export.export(network, (torch.rand(2, 3, 64, 64),), dynamic_shapes=({0: auto, 2: auto, 3: auto},))
    blurry = torch.rand(3, 3, 96, 128)
    torch.testing.assert_close(program.module()(blurry), network(blurry))
