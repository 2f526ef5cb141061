from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from backbones.small_ifan import pair_of, tiny
from jdrl_lightning import backbones
from jdrl_lightning.errors import UserError
from jdrl_lightning.testing import assert_is_backbone
from network_checks import assert_exports_for_any_size


@pytest.mark.parametrize(
    ("n_filters", "parameters"),
    [(17, 10_476_996), (8, 9_436_740), (26, 11_517_252), (35, 12_557_508), (44, 13_597_764)],
)
def test_published_sizes(n_filters: int, parameters: int) -> None:
    with torch.device("meta"):
        backbone = backbones.create("ifan", n_filters=n_filters)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == parameters
    assert len(backbone.network.state_dict()) == 158


def test_published_cost_and_head() -> None:
    with torch.device("meta"):
        backbone = backbones.create("ifan")
        heads = backbone.auxiliary()
        with FlopCounterMode(display=False) as counted:
            backbone(torch.rand(1, 3, 256, 256))
    assert counted.get_total_flops() / 2e9 == pytest.approx(25.71, abs=0.005)  # convolutions only
    assert backbone.network.filters.out_channels == 15_232
    assert sum(parameter.numel() for parameter in heads.parameters()) == 19_139_685
    assert not [key for key in backbone.state_dict() if "reblur" in key or not key.startswith("network.")]


@pytest.mark.parametrize("bug", [False, True])
def test_filters_step_by_step_equal_filters_all_at_once(bug: bool) -> None:
    network = tiny(shared_kernel_bug=bug).double().network
    blurry = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    training, evaluation = network.train()(blurry), network.eval()(blurry)
    torch.testing.assert_close(training.images[0], evaluation.images[0], rtol=0, atol=1e-12)
    assert training.aux["filters"].shape == (2, 3 * 7 * 8, 2, 3)
    assert training.aux["disparity"].shape == (2, 1, 2, 3)
    assert evaluation.aux.keys() == {"disparity"}
    assert torch.equal(network.estimate_disparity(blurry), evaluation.aux["disparity"])


def test_the_bug_changes_the_output() -> None:
    right, wrong = tiny().eval(), tiny(shared_kernel_bug=True).eval()
    assert all(torch.equal(a, b) for a, b in zip(right.parameters(), wrong.parameters(), strict=True))
    blurry = torch.rand(1, 3, 16, 16)
    assert not torch.allclose(right(blurry).images[0], wrong(blurry).images[0])


def test_without_output_layer_it_is_the_identity() -> None:
    backbone = tiny()
    nn.init.zeros_(backbone.network.out.weight)
    blurry = 3 * torch.rand(1, 3, 24, 16) - 1
    assert torch.equal(backbone(blurry).images[0], blurry)
    assert torch.equal(backbone.eval()(blurry).images[0], blurry.clamp(0, 1))


def test_gradients() -> None:
    network = tiny(n_filters=2, width=1).double().network
    blurry = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: network(image).images[0], blurry)
    weight = network.filters.weight.detach().clone().requires_grad_()

    def by_weight(weight: Tensor) -> Tensor:
        return torch.func.functional_call(network, {"filters.weight": weight}, blurry.detach()).images[0][..., ::4, ::4]

    assert torch.autograd.gradcheck(by_weight, weight, fast_mode=True)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    backbone = tiny()
    assert backbone.divisor == 8
    blurry = torch.rand(2, 3, *size)
    restored = backbone(blurry)
    assert [image.shape for image in restored.images] == [blurry.shape]
    pair = pair_of(blurry, blurry.flip(0), left=blurry, right=blurry)
    assert all(loss.isfinite() for loss in backbone.auxiliary()(backbone, restored, pair).values())


def test_contract() -> None:
    assert_is_backbone(tiny())


def test_wrong_settings() -> None:
    for settings in ({"width": 0}, {"n_filters": 0}):
        with pytest.raises(UserError, match="at least 1"):
            backbones.create("ifan", **settings)
    with pytest.raises(UserError, match="isotropic"):
        backbones.create("ifan", isotropic=True)


def test_submodules_are_defined_in_execution_order() -> None:
    network, called = tiny().network, []
    layers = {m: name for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)}
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: called.append(layers[module]))
    network(torch.rand(1, 3, 8, 8))
    assert called == list(layers.values())


def test_exports_for_any_size() -> None:
    assert_exports_for_any_size(tiny().eval().network, 8)
