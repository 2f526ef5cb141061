from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.backbones.kpac import Halving, KPACBlock
from jdrl_lightning.errors import UserError
from network_checks import assert_exports_for_any_size, train


def _tiny(levels: int = 2, tf_padding: bool = False) -> Backbone:
    """With a non-zero last layer, so that the output depends on the others."""
    torch.manual_seed(0)
    backbone = backbones.create("kpac", levels=levels, width=4, tf_padding=tf_padding).eval()
    nn.init.normal_(backbone.network.decoder[-1].fuse.weight, std=0.1)
    return backbone


@pytest.mark.parametrize(("levels", "parameters", "tensors"), [(2, 1_578_277, 58), (3, 2_057_893, 66)])
def test_published_size(levels: int, parameters: int, tensors: int) -> None:
    with torch.device("meta"):
        network = backbones.create("kpac", levels=levels).network
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters
    assert len(network.state_dict()) == tensors
    assert sum(parameter.numel() for parameter in network.blocks[0].parameters()) == 448_145


def _leaky(features: Tensor) -> Tensor:
    return torch.where(features > 0, features, 0.2 * features)


def test_one_shared_kernel_at_five_dilations() -> None:
    """Compare with dense kernels: the shared one with zeros between its taps, at five dilations."""
    torch.manual_seed(0)
    block = KPACBlock(channels=6, width=3).double()
    features = torch.randn(2, 6, 24, 20, dtype=torch.float64)
    shared = block.atrous.weight
    branches = []
    for dilation in range(1, 6):
        dense = features.new_zeros(3, 6, 4 * dilation + 1, 4 * dilation + 1)
        dense[:, :, ::dilation, ::dilation] = shared
        branches.append(_leaky(F.conv2d(F.pad(features, [2 * dilation] * 4), dense)))
    scale = features
    for layer in range(5):
        convolution = block.scale[layer][0] if layer < 4 else block.scale[4]
        assert convolution.dilation == ((2, 2) if layer < 4 else (1, 1))
        scale = convolution(scale)
        scale = _leaky(scale) if layer < 4 else scale.sigmoid()
    mean = features.mean((2, 3))
    hidden = _leaky(mean @ block.shape[1].weight[:, :, 0, 0].T + block.shape[1].bias)
    shape = (hidden @ block.shape[3].weight[:, :, 0, 0].T + block.shape[3].bias).sigmoid()
    weighed = [branches[i] * scale[:, i, None] * shape[:, :, None, None] for i in range(5)]
    expected = _leaky(block.fuse[0](torch.cat(weighed, 1)))
    torch.testing.assert_close(block(features), expected, rtol=0, atol=1e-12)


def test_tensorflow_padding_against_an_explicit_pad() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 8, 12)
    for tf_padding, start in ((True, 1), (False, 0)):
        layer = Halving(3, 5, tf_padding)
        whole = F.conv2d(F.pad(image, (1, 1, 1, 1)), layer.weight, layer.bias)  # centred on every pixel
        torch.testing.assert_close(layer(image), whole[..., start::2, start::2])
    delta = torch.zeros(1, 1, 4, 4)
    delta[..., 0, 0] = 1
    layer = Halving(1, 1, True)
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    assert torch.equal(layer(delta)[0, 0].detach(), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    assert not torch.allclose(_tiny(tf_padding=True)(image).images[0], _tiny()(image).images[0])


@pytest.mark.parametrize("levels", [2, 3])
@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(levels: int, size: tuple[int, int]) -> None:
    backbone = _tiny(levels)
    assert backbone.divisor == 2**levels
    (restored,) = backbone(torch.rand(2, 3, *size)).images
    assert restored.shape == (2, 3, *size)


def test_value_range_and_global_residual() -> None:
    backbone = _tiny().train()
    blurry = torch.rand(1, 3, 16, 16)
    restored = backbone(blurry).images[0]
    torch.testing.assert_close(restored, (backbone.network(2 * blurry - 1) + 1) / 2)
    nn.init.zeros_(backbone.network.decoder[-1].fuse.weight)
    nn.init.constant_(backbone.network.decoder[-1].fuse.bias, 0.5)
    torch.testing.assert_close(backbone(blurry).images[0], blurry + 0.25)


def test_starts_as_the_identity_and_learns() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("kpac", width=4)
    blurry = torch.rand(2, 3, 16, 16)
    sharp = blurry.roll(1, -1)
    torch.testing.assert_close(backbone(blurry).images[0], blurry)
    losses = train(backbone, blurry, sharp, steps=15)
    assert losses[-1] < losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())


def test_features_keep_their_scale_at_the_start() -> None:
    torch.manual_seed(0)
    network = backbones.create("kpac", width=24, levels=3).network
    seen: list[float] = []
    for stage in network.decoder:
        stage.up.register_forward_hook(lambda layer, args, output: seen.append((output.std() / args[0].std()).item()))
    network(torch.rand(2, 3, 64, 64) * 2 - 1)
    assert all(0.5 < ratio < 2 for ratio in seen)


def test_unknown_levels() -> None:
    for levels in (1, 4):
        with pytest.raises(UserError, match=f"levels={levels}"):
            backbones.create("kpac", levels=levels)


def test_exports_for_any_size() -> None:
    assert_exports_for_any_size(_tiny().network, 4)
