from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.errors import UserError
from jdrl_lightning.testing import assert_is_backbone
from network_checks import assert_exports, train


def _tiny(seed: int = 0, width: int = 2) -> Backbone:
    torch.manual_seed(seed)
    return backbones.create("drbnet", width=width)


def _silence(network: nn.Module) -> None:
    """Zero kernels and residual: each block returns its image."""
    for block in network.refine:
        for layer in (block.kernels, block.residual[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)


def test_published_size() -> None:
    with torch.device("meta"):
        network = backbones.create("drbnet").network
    assert sum(parameter.numel() for parameter in network.parameters()) == 11_689_616
    assert len(network.state_dict()) == 138
    assert [block.kernels.out_channels for block in network.refine] == [49] * 4


def test_coarse_to_fine_from_the_mean_of_eight_by_eight_pixels() -> None:
    backbone = _tiny()
    _silence(backbone.network)
    blurry = torch.rand(1, 3, 24, 16)
    expected = F.interpolate(F.avg_pool2d(blurry, 8), scale_factor=8)
    torch.testing.assert_close(backbone(blurry).images[0], expected)


def test_a_block_against_unfolded_patches() -> None:
    torch.manual_seed(0)
    block = _tiny().network.refine[2].double()
    image, features = (torch.randn(2, channels, 9, 11, dtype=torch.float64) for channels in (3, 4))
    joined = block.join(torch.cat([block.look(image), features], dim=1))
    patches = F.unfold(F.pad(image, (3, 3, 3, 3), mode="replicate"), 7).view(2, 3, 49, 9, 11)
    filtered = torch.einsum("bckhw,bkhw->bchw", patches, block.kernels(joined))
    residual = block.residual[2](block.residual[1](block.residual[0](joined)))
    residual = torch.where(residual > 0, residual, 0.1 * residual)
    torch.testing.assert_close(block(image, features), image + filtered + residual, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("bias", "moved"), [(0.3, 0.15), (-0.3, -0.015)])
def test_the_residual_passes_a_leaky_relu_in_the_range_minus_one_to_one(bias: float, moved: float) -> None:
    backbone = _tiny()
    _silence(backbone.network)
    nn.init.constant_(backbone.network.refine[3].residual[2].bias, bias)
    blurry = torch.full((1, 3, 16, 16), 0.5)
    torch.testing.assert_close(backbone(blurry).images[0], blurry + moved)


def test_only_eval_mode_clips() -> None:
    backbone = _tiny()
    _silence(backbone.network)
    nn.init.constant_(backbone.network.refine[3].residual[2].bias, 4.0)
    blurry = torch.rand(1, 3, 16, 16, requires_grad=True)
    training = backbone(blurry).images[0]
    assert training.min() > 1
    (gradient,) = torch.autograd.grad(training.sum(), blurry)
    assert (gradient != 0).all()
    assert (backbone.eval()(blurry).images[0] == 1).all()


def test_gradients() -> None:
    network = _tiny().double().network
    blurry = (2 * torch.rand(1, 3, 8, 8, dtype=torch.float64) - 1).requires_grad_()
    assert torch.autograd.gradcheck(network, blurry, fast_mode=True)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    backbone = _tiny()
    assert backbone.divisor == 8
    restored = backbone(torch.rand(2, 3, *size))
    assert [image.shape for image in restored.images] == [(2, 3, *size)]
    assert restored.aux == {}


def test_it_learns(photo: Tensor) -> None:
    backbone = _tiny(width=4)
    sharp = photo[None, :, 100:164, 200:264] / 255
    blurry = F.avg_pool2d(F.pad(sharp, (2,) * 4, mode="reflect"), 5, 1)
    losses = train(backbone, blurry, sharp, steps=20)
    assert losses[-1] < 0.5 * losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())


def test_contract_and_weights(tmp_path: Path) -> None:
    source, target = _tiny(seed=1), _tiny(seed=2)
    assert_is_backbone(source)
    torch.save({f"module.{key}": value for key, value in source.network.state_dict().items()}, tmp_path / "w.pth")
    loaded = load_weights(target, tmp_path / "w.pth")
    assert loaded.n_tensors == 138
    assert "AGPL" in str(loaded.licence)
    blurry = torch.rand(1, 3, 16, 16)
    assert torch.equal(source(blurry).images[0], target(blurry).images[0])


@pytest.mark.parametrize("width", [0, 3, -2])
def test_wrong_settings(width: int) -> None:
    with pytest.raises(UserError, match=f"width={width} must be an even number"):
        backbones.create("drbnet", width=width)


def test_exports() -> None:
    assert_exports(_tiny().eval(), 21, 16)
