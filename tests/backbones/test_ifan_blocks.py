from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from jdrl_lightning.backbones.ifan_blocks import ResidualBlocks, encoder, initialise


def test_residual_blocks() -> None:
    torch.manual_seed(0)
    for n in (1, 2):
        blocks = ResidualBlocks(2, n).double()
        features = torch.randn(1, 2, 5, 4, dtype=torch.float64)
        before, expected = features.clone(), features
        for (first, _), second in blocks.blocks:
            inner = F.leaky_relu(F.conv2d(expected, first.weight, first.bias, padding=1), 0.1)
            expected = F.leaky_relu(expected + F.conv2d(inner, second.weight, second.bias, padding=1), 0.1)
        torch.testing.assert_close(blocks(features), expected + features if n > 1 else expected)
        assert torch.equal(features, before)


def test_the_encoder_halves_three_times() -> None:
    features, shapes = torch.rand(1, 3, 32, 16), []
    for level in encoder((4, 8, 16, 16)):
        features = level(features)
        shapes.append(tuple(features.shape[1:]))
    assert shapes == [(4, 32, 16), (8, 16, 8), (16, 8, 4), (16, 4, 2)]


def test_weights_start_as_xavier_does() -> None:
    """Uniform up to ``gain · √(6 / (fan_in + fan_out))``; in transposed convolutions too."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(16, 32, 3), nn.ConvTranspose2d(32, 16, 3), nn.Conv2d(16, 32, 3, bias=False)]
    network = nn.Sequential(*layers, nn.ReLU())
    initialise(network, gain=0.5)
    bound = 0.5 * (6 / (9 * (16 + 32))) ** 0.5
    for layer in layers:
        largest = float(layer.weight.detach().abs().max())
        assert 0.98 * bound < largest <= bound
        assert layer.bias is None or not layer.bias.any()
