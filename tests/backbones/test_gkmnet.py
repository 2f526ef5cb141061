"""GKMNet: fixed Gaussians as SciPy's, one step of each scale, and the start as the identity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones.gkmnet import KERNELS, REACH_PX, GKMNet, _ConvLSTM, gaussians, mixture
from network_checks import assert_autocast_trains, assert_exports, assert_exports_for_any_size, randomise, train


def test_size_beside_the_papers() -> None:
    """1.41 million in the paper: what is described does not determine the network."""
    with torch.device("meta"):
        network = GKMNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_303_500
    assert network.head.out_channels == 44
    widths = [layer[0].out_channels for layer in (network.encoder1, network.encoder2, network.encoder3)]  # type: ignore[union-attr]
    assert widths == [32, 64, 128]


def test_gaussians_are_scipys() -> None:
    assert gaussians().shape == (KERNELS, 2 * REACH_PX + 1) == (21, 21)
    images = torch.rand(2, 2, 3, 24, 32)
    for number in (0, 1, 8, 21):
        maps = torch.zeros(2, 2, 22, 24, 32)
        maps[:, 1, number] = 1
        expected = images[:, 1].numpy()
        if number:
            expected = gaussian_filter(expected, number / 6, mode="nearest", radius=REACH_PX, axes=(2, 3))
        np.testing.assert_allclose(mixture(images, maps, gaussians()).numpy(), expected, atol=2e-6)


def test_weights_are_of_each_pixel() -> None:
    images, maps = torch.rand(1, 2, 3, 5, 6), torch.rand(1, 2, 3, 5, 6)
    kernels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])  # the second takes the pixel above and to the left
    moved = nn.functional.pad(images[0], (1, 0, 1, 0), mode="replicate")[..., :-1, :-1][None]
    expected = ((maps[:, :, 0] + maps[:, :, 1])[:, :, None] * images + maps[:, :, 2, None] * moved).sum(1)
    torch.testing.assert_close(mixture(images, maps, kernels), expected)


def test_starts_as_the_identity_and_learns() -> None:
    backbone, blurry = backbones.create("gkmnet", width=4), torch.rand(2, 3, 32, 48)
    assert torch.equal(backbone(blurry).images[0], blurry)
    losses = train(backbone, blurry, blurry.flip(2), steps=20)
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in backbone.parameters())


def test_a_scale_takes_the_coarser_ones_result_and_state() -> None:
    """With maps that take ``x`` alone, what comes out is the coarsest scale, enlarged twice."""
    network, blurry = GKMNet(2), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        network.head.bias.zero_()[KERNELS + 1] = 1
    coarse = nn.functional.avg_pool2d(blurry, 4)
    for _ in range(2):
        coarse = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(network(blurry), coarse)
    states = []
    network.memory.register_forward_hook(lambda _, given, made: states.append((given[1], made)))
    network(blurry)
    assert states[0][0] is None
    assert [made[0].shape[-1] for _, made in states] == [8, 16, 32]
    enlarged = states[0][1][1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(states[1][0][1], enlarged)


def test_the_cell_is_pytorchs_lstm_at_a_pixel() -> None:
    cell, theirs = _ConvLSTM(3), nn.LSTMCell(3, 3)
    with torch.no_grad():
        weight = torch.zeros_like(cell.gates.weight)
        order = [0, 1, 3, 2]  # of the gates: ours is input, forget, output, value
        for ours, place in enumerate(order):
            rows, here = slice(3 * place, 3 * place + 3), slice(3 * ours, 3 * ours + 3)
            weight[here, :, 1, 1] = torch.cat([theirs.weight_ih[rows], theirs.weight_hh[rows]], 1)
            cell.gates.bias[here] = theirs.bias_ih[rows] + theirs.bias_hh[rows]
        cell.gates.weight.copy_(weight)
    features, output, memory = torch.rand(3, 2, 3, 1, 1).unbind()
    expected = theirs(features[..., 0, 0], (output[..., 0, 0], memory[..., 0, 0]))
    for ours, other in zip(cell(features, [output, memory]), expected, strict=True):
        torch.testing.assert_close(ours[..., 0, 0], other)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    assert backbones.create("gkmnet", width=2)(torch.rand(2, 3, *size)).images[0].shape == (2, 3, *size)


def test_autocast_trains() -> None:
    torch.manual_seed(0)
    assert_autocast_trains(backbones.create("gkmnet", width=4))


def test_exports() -> None:
    backbone = backbones.create("gkmnet", width=2).eval()
    randomise(backbone)
    assert_exports(backbone)
    assert_exports_for_any_size(backbone.network, 16)
