"""Export of the networks whose own tests do not cover it."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning import backbones
from small import BACKBONES


@pytest.mark.parametrize("name", ["unet", "timm_unet"])
def test_an_exported_network_takes_other_sizes(name: str) -> None:
    network = backbones.create(name, **BACKBONES[name]).eval().network
    for parameter in network.parameters():  # with a zero last layer the output would be the input in any case
        torch.nn.init.normal_(parameter, std=0.1)
    auto = torch.export.Dim.AUTO
    program = torch.export.export(network, (torch.rand(2, 3, 64, 64),), dynamic_shapes=({0: auto, 2: auto, 3: auto},))
    blurry = torch.rand(3, 3, 96, 128)
    torch.testing.assert_close(program.module()(blurry), network(blurry))


@pytest.mark.parametrize("name", ["unet", "dpdnet"])
def test_the_onnx_graph_has_no_sequence_operators(name: str) -> None:
    """Sequence operators are not constant-folded, run at every call, and many runtimes lack them."""
    network = backbones.create(name, **BACKBONES[name]).eval().network
    program = torch.onnx.export(network, (torch.rand(1, 3, 32, 32),), dynamo=True, verbose=False)
    assert program is not None
    operators = {node.op_type for node in program.model.graph}
    assert "ConvTranspose" in operators
    assert not [name for name in operators if "Sequence" in name]
