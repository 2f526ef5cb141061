"""The reblurring network: published size, what is built, what is trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.contrast import log_contrast
from jdrl_lightning.reblur.free import reblur_free
from jdrl_lightning.reblur.kernels import mean_radius
from jdrl_lightning.reblur.network import PredictionNet, ReblurNet
from jdrl_lightning.reblur.operator import reblur


def images(size: int = 12) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, size, size, generator=generator), torch.rand(2, 3, size, size, generator=generator)


def test_published_size() -> None:
    network = ReblurNet()
    assert sum(p.numel() for p in network.parameters()) == 474_987
    assert network.kpn.tail.weight.shape == (35, 64, 3, 3)
    assert {name.split(".")[0] for name in network.state_dict()} == {"kpn", "wpn"}
    assert "kpn.blocks.0.conv1.weight" in network.state_dict()


def test_layers_of_the_prediction_net() -> None:
    torch.manual_seed(0)
    network = PredictionNet(5, width=4)
    inputs = torch.rand(1, 6, 7, 8)
    state = network.state_dict()

    def conv(features: Tensor, name: str) -> Tensor:
        return nn.functional.conv2d(features, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

    features = conv(inputs, "head")
    for block in ("blocks.0", "blocks.1", "blocks.2"):
        features = features + conv(conv(features, f"{block}.conv1").clamp(min=0), f"{block}.conv2")
    torch.testing.assert_close(network(inputs), conv(features, "tail"))


@pytest.mark.parametrize("kernel", ["isotropic", "free"])
@pytest.mark.parametrize("weight_maps", [True, False])
def test_every_parameter_is_trained(kernel: str, weight_maps: bool) -> None:
    network = ReblurNet(levels=3, width=4, kernel=kernel, weight_maps=weight_maps)
    assert (network.wpn is not None) == weight_maps
    restored, blurry = images()
    reblurred = network(restored.requires_grad_(), blurry)
    assert reblurred.shape == restored.shape
    (reblurred - blurry).square().sum().backward()
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_gradient_reaches_restored_as_network_input_too() -> None:
    network = ReblurNet(levels=3, width=4)
    restored, blurry = images()
    restored.requires_grad_()
    (whole,) = torch.autograd.grad(network(restored, blurry).square().sum(), restored)
    seeds, weights = network.seeds_and_weights(restored.detach(), blurry)
    as_image = reblur(restored, seeds, weights, levels=3)
    (part,) = torch.autograd.grad(as_image.square().sum(), restored)
    torch.testing.assert_close(as_image, network(restored, blurry))
    assert (whole - part).abs().max() > 1e-4


def test_seeds_and_weights() -> None:
    restored, blurry = images()
    seeds, weights = ReblurNet(levels=4, width=4).seeds_and_weights(restored, blurry)
    assert seeds.shape == (2, 9, 12, 12)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 12, 12))
    radius = mean_radius(seeds, weights, levels=4)
    assert radius.shape == (2, 1, 12, 12)
    assert 0 < radius.min() < radius.max() < 3 * 2**0.5
    average = ReblurNet(levels=4, width=4, weight_maps=False)
    torch.testing.assert_close(average.seeds_and_weights(restored, blurry)[1], torch.full((2, 4, 12, 12), 0.25))
    free = ReblurNet(levels=4, width=4, kernel="free")
    assert free.seeds_and_weights(restored, blurry)[0].shape == (2, 9 + 25 + 49, 12, 12)


def test_several_scales() -> None:
    restored, blurry = images()
    network = ReblurNet(levels=3, width=4, scales=3, support="disk")
    seeds, weights = network.seeds_and_weights(restored, blurry)
    assert seeds.shape == (2, 3 * (2 + 3), 12, 12)
    assert weights.shape == (2, 3 + 2 * 2, 12, 12)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 12, 12))
    expected = reblur(restored, seeds, weights, levels=3, support="disk", scales=3)
    torch.testing.assert_close(network(restored, blurry), expected)
    radius = network.blur_radius(restored, blurry)
    torch.testing.assert_close(radius, mean_radius(seeds, weights, levels=3, support="disk", scales=3))
    assert 0 < radius.max() < 4 * 2


@pytest.mark.parametrize("wrong", [{"scales": 0}, {"scales": 2, "kernel": "free"}, {"scales": 2, "weight_maps": False}])
def test_scales_need_isotropic_kernels_and_weight_maps(wrong: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"reblur\.scales"):
        ReblurNet(levels=3, width=4, **wrong)  # type: ignore[arg-type]


def test_settings_reach_the_operator() -> None:
    restored, blurry = images()
    outputs = []
    for settings in ({}, {"support": "disk"}, {"padding": "reflect"}):
        torch.manual_seed(0)
        outputs.append(ReblurNet(levels=3, width=4, **settings)(restored, blurry))  # type: ignore[arg-type]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-4
    assert (outputs[0] - outputs[2])[..., 2:-2, 2:-2].abs().max() == 0
    assert (outputs[0] - outputs[2]).abs().max() > 1e-2


@pytest.mark.parametrize(("init", "variance"), [("he", 2 / (9 * 64)), ("xavier", 2 / (9 * 64 + 9 * 64))])
def test_initialisation(init: str, variance: float) -> None:
    network = ReblurNet(init=init)
    block = network.kpn.blocks[0]
    assert isinstance(block.conv1, nn.Conv2d)
    weight = block.conv1.weight
    assert weight.var().item() == pytest.approx(variance, rel=0.05)
    assert weight.abs().max() > 3 * variance**0.5  # normal, not uniform
    assert all(not p.any() for name, p in network.named_parameters() if name.endswith("bias"))


def test_learns_to_blur() -> None:
    torch.manual_seed(0)
    sharp = torch.rand(1, 3, 16, 16)
    blurry = nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
    network = ReblurNet(levels=3, width=8)
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss = (network(sharp, blurry) - blurry).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize(
    "settings", [{"kernel": "gaussian"}, {"init": "zeros"}, {"support": "x"}, {"padding": "x"}, {"levels": 1}]
)
def test_unknown_settings_name_themselves(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=f"reblur.{next(iter(settings))}"):
        ReblurNet(**settings)  # type: ignore[arg-type]


def test_refuses_different_shapes() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        ReblurNet(width=4)(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 15))


@pytest.mark.parametrize("weight_maps", [True, False])
@pytest.mark.parametrize("stride", [2, 4])
def test_maps_of_a_fraction_of_the_resolution(stride: int, weight_maps: bool) -> None:
    """Enlarged by PyTorch on the padded images, cut back; every parameter is trained."""
    torch.manual_seed(0)
    network = ReblurNet(levels=3, width=4, weight_maps=weight_maps, stride=stride)
    restored, blurry = (image[..., :11, :9] for image in images())
    seeds, weights = network.seeds_and_weights(restored, blurry)
    assert (seeds.shape, weights.shape) == ((2, 5, 11, 9), (2, 3, 11, 9))
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 11, 9))
    both = torch.cat([restored, blurry], 1)
    padded = nn.functional.pad(both, (0, -9 % stride, 0, -11 % stride), mode="replicate")
    assert network.trunk is not None
    contrasts = [log_contrast(half, stride) for half in padded.split(3, dim=1)]
    coarse = network.trunk(torch.cat([nn.functional.pixel_unshuffle(padded, stride), *contrasts], 1))[:, :5]
    expected = nn.functional.interpolate(coarse, size=padded.shape[-2:], mode="bilinear")[..., :11, :9]
    torch.testing.assert_close(seeds, expected)
    (network(restored, blurry) - blurry).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    grey = torch.full_like(restored, 0.5)
    torch.testing.assert_close(network(grey, blurry)[..., 3:-3, 3:-3], grey[..., 3:-3, 3:-3])
    assert network.blur_radius(restored, blurry).shape == (2, 1, 11, 9)


@pytest.mark.parametrize("settings", [{"support": "disk"}, {"scales": 2}, {"kernel": "free"}, {"weight_maps": False}])
def test_coarse_maps_are_applied_enlarged(settings: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = ReblurNet(levels=3, width=4, stride=4, **settings)  # type: ignore[arg-type]
    restored, blurry = (image[..., :11, :9] for image in images())
    kernels, weights = network.seeds_and_weights(restored, blurry)
    if network.kernel == "free":
        expected = reblur_free(restored, kernels, weights, 3)
    else:
        expected = reblur(restored, kernels, weights, 3, network.support, scales=network.scales)
    torch.testing.assert_close(network(restored, blurry), expected)
