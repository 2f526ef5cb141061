from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from jdrl_lightning import backbones
from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.errors import UserError
from network_checks import train


def test_published_size() -> None:
    with torch.device("meta"):
        network = UNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 31_033_411
    state = network.state_dict()
    assert len(state) == 46
    convolutions = [f"encoder.block{i}.{j}" for i in range(1, 6) for j in (0, 2)]
    convolutions += [name for i in range(6, 10) for name in (f"up{i}.1", f"block{i}.0", f"block{i}.2")] + ["out.0"]
    assert set(state) == {f"{name}.{kind}" for name in convolutions for kind in ("weight", "bias")}
    assert state["encoder.block5.0.weight"].shape == (1024, 512, 3, 3)
    assert state["up6.1.weight"].shape == (512, 1024, 2, 2)
    assert state["block9.0.weight"].shape == (64, 128, 3, 3)


def _conv(image: np.ndarray, layer: torch.nn.Conv2d) -> np.ndarray:
    """A convolution by SciPy; a 2×2 kernel starts at the pixel itself, zero-padded right and below."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    origin = -1 if weight.shape[-1] == 2 else 0  # SciPy centres a kernel of size 2 on its second tap
    return np.stack(
        [
            b + sum(correlate(c, k, mode="constant", origin=origin) for c, k in zip(image, kernels, strict=True))
            for kernels, b in zip(weight, bias, strict=True)
        ]
    )


def _double(image: np.ndarray, block: torch.nn.Sequential) -> np.ndarray:
    return np.maximum(_conv(np.maximum(_conv(image, block[0]), 0), block[2]), 0)


def test_forward_equals_a_numpy_unet() -> None:
    torch.manual_seed(0)
    network = UNet(width=2, init="official").double().eval()
    image = torch.rand(1, 3, 32, 16, dtype=torch.float64)
    features, skips = image[0].numpy(), []
    for level in range(1, 6):
        features = _double(features, network.encoder[f"block{level}"])
        if level < 5:
            skips.append(features)
            channels, height, width = features.shape
            features = features.reshape(channels, height // 2, 2, width // 2, 2).max((2, 4))
    for level in range(6, 10):
        up = _conv(features.repeat(2, axis=1).repeat(2, axis=2), getattr(network, f"up{level}")[1])
        features = _double(np.concatenate([up, skips.pop()]), getattr(network, f"block{level}"))
    expected = 1 / (1 + np.exp(-_conv(features, network.out[0])))
    np.testing.assert_allclose(network(image)[0].detach().numpy(), expected, atol=1e-12)


def test_bgr_internally_and_rgb_externally() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("unet", width=4).eval()
    blurry = torch.rand(2, 3, 32, 32)
    expected = backbone.network(blurry[:, [2, 1, 0]])[:, [2, 1, 0]]
    torch.testing.assert_close(backbone(blurry).images[0], expected)
    assert not torch.allclose(backbone.network(blurry), expected)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
@pytest.mark.parametrize("global_residual", [False, True])
def test_odd_sizes(size: tuple[int, int], global_residual: bool) -> None:
    backbone = backbones.create("unet", width=4, global_residual=global_residual)
    assert backbone.divisor == 16
    restored = backbone(torch.rand(2, 3, *size)).images
    assert len(restored) == 1
    assert restored[0].shape == (2, 3, *size)


def test_global_residual_starts_as_the_identity_and_learns() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("unet", width=4, dropout=0.0, global_residual=True)
    blurry = torch.rand(2, 3, 16, 16)
    sharp = blurry.roll(1, -1)
    assert torch.equal(backbone(blurry).images[0], blurry)
    losses = train(backbone, blurry, sharp, steps=12)
    assert losses[-1] < losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())


def test_dropout_applies_to_the_skip() -> None:
    torch.manual_seed(0)
    network, image = UNet(width=2, dropout=1.0), torch.rand(1, 3, 32, 32)
    dropped, kept = network.train()(image), network.eval()(image)
    with torch.no_grad():
        network.encoder["block4"][2].bias += 1.0
    assert torch.equal(network.train()(image), dropped)
    assert not torch.allclose(network.eval()(image), kept)


def test_initialisations() -> None:
    torch.manual_seed(0)
    he, official = UNet(width=16, init="he"), UNet(width=16, init="official")
    fan_in, fan_out = 9 * 128, 9 * 256
    for network, fan in ((he, fan_in), (official, fan_out)):
        assert network.encoder["block5"][0].weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.02)
    assert (he.encoder["block5"][0].bias == 0).all()
    bias = official.encoder["block5"][0].bias
    assert 0.9 * fan_in**-0.5 < bias.abs().max().item() <= fan_in**-0.5
    with pytest.raises(UserError, match="init='xavier'"):
        backbones.create("unet", init="xavier")


def test_unknown_setting() -> None:
    with pytest.raises(UserError, match="depth"):
        backbones.create("unet", depth=3)
