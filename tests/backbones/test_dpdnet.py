from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones.dpdnet import DPDNet
from network_checks import assert_exports_for_any_size


def test_published_size() -> None:
    with torch.device("meta"):
        network = backbones.create("dpdnet").network
    assert sum(parameter.numel() for parameter in network.parameters()) == 31_033_423
    state = network.state_dict()
    assert len(state) == 48
    assert state["encoder.block1.0.weight"].shape == (64, 3, 3, 3)
    assert state["up6.1.weight"].shape == (512, 1024, 2, 2)
    assert state["out.0.weight"].shape == (3, 64, 3, 3)
    assert state["out.2.weight"].shape == (3, 3, 1, 1)


def _forward(state: dict[str, Tensor], image: Tensor) -> Tensor:
    """DPDNet from the paper's list of layers, in functional form."""

    def conv(features: Tensor, name: str, pad: tuple[int, ...] = (1, 1, 1, 1)) -> Tensor:
        return F.conv2d(F.pad(features, pad), state[f"{name}.weight"], state[f"{name}.bias"])

    def double(features: Tensor, name: str) -> Tensor:
        return conv(conv(features, f"{name}.0").relu(), f"{name}.2").relu()

    features, skips = image, []
    for level in range(1, 6):
        features = double(features, f"encoder.block{level}")
        if level < 5:
            skips.append(features)
            features = F.max_pool2d(features, 2)
    for level in range(6, 10):
        doubled = features.repeat_interleave(2, 2).repeat_interleave(2, 3)
        up = conv(doubled, f"up{level}.1", (0, 1, 0, 1)).relu()
        features = double(torch.cat([skips.pop(), up], 1), f"block{level}")
    return conv(conv(features, "out.0").relu(), "out.2", (0, 0, 0, 0)).sigmoid()


def _scrambled(network: nn.Module) -> nn.Module:
    """Weights for which every unit matters: PyTorch's default biases, negative and positive values in the tail."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()
            nn.init.kaiming_normal_(layer.weight)
    return network


def test_forward_equals_plain_functions() -> None:
    torch.manual_seed(0)
    network = _scrambled(DPDNet(width=3)).double().eval()
    image = torch.rand(2, 3, 32, 48, dtype=torch.float64)
    expected = _forward(network.state_dict(), image)
    assert expected.std() > 0.01
    torch.testing.assert_close(network(image), expected, rtol=0, atol=1e-12)


def test_bgr_internally_and_rgb_externally() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("dpdnet", width=4).eval()
    _scrambled(backbone.network)
    blurry = torch.rand(1, 3, 32, 32)
    expected = backbone.network(blurry[:, [2, 1, 0]])[:, [2, 1, 0]]
    torch.testing.assert_close(backbone(blurry).images[0], expected)
    assert not torch.allclose(backbone.network(blurry), expected)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    (restored,) = backbones.create("dpdnet", width=4)(torch.rand(2, 3, *size)).images
    assert restored.shape == (2, 3, *size)


def test_no_channel_of_the_tail_is_dead_at_the_start(photo: Tensor) -> None:
    image = photo[None, :, 100:196, 150:246].float() / 255
    images = torch.cat([image, torch.zeros_like(image), torch.ones_like(image)])
    mostly_dead = 0
    for seed in range(8):
        torch.manual_seed(seed)
        network = DPDNet(width=16).eval()
        seen: list[Tensor] = []
        network.out[0].register_forward_hook(lambda layer, args, output, seen=seen: seen.append(output.clone()))
        with torch.no_grad():
            restored = network(images)
            assert (seen[0] > 0).all()
            assert restored.min() > 0.1
            assert restored.max() < 0.9
            assert (restored[0].std((1, 2)) > 0).all()  # every channel depends on the image
            _scrambled(network.out)
            nn.init.zeros_(network.out[0].bias)
            network(images)
        mostly_dead += int(((seen[1][0] > 0).float().mean((1, 2)) < 0.05).sum())
    assert mostly_dead > 0  # initialised like the other layers, some channels would be dead


def test_every_parameter_learns() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("dpdnet", width=4, dropout=0.0)
    optimizer = torch.optim.Adam(backbone.parameters(), lr=1e-3)
    blurry = torch.rand(2, 3, 16, 16)
    sharp = torch.rand(2, 3, 1, 1).expand_as(blurry)
    losses = []
    for _ in range(20):
        loss = (backbone(blurry).images[0] - sharp).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())
        optimizer.step()
    assert losses[-1] < 0.9 * losses[0]


def test_exports_for_any_size() -> None:
    assert_exports_for_any_size(backbones.create("dpdnet", width=4).eval().network, 16)
