from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.backbones.ifan_blocks import ResidualBlocks, encoder
from jdrl_lightning.errors import UserError
from jdrl_lightning.testing import assert_is_backbone
from jdrl_lightning.types import Pair
from network_checks import assert_exports_for_any_size


def _tiny(seed: int = 0, **settings: Any) -> Backbone:
    """With filters large enough to matter: as published they start so small that they suppress the features."""
    torch.manual_seed(seed)
    backbone = backbones.create("ifan", **{"n_filters": 3, "width": 2} | settings)
    nn.init.normal_(backbone.network.filters.bias, std=0.5)
    return backbone


def _pair(blurry: Tensor, sharp: Tensor, **extras: Tensor) -> Pair:
    return Pair(blurry, sharp, ["a"] * len(blurry), extras)


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


@pytest.mark.parametrize("bug", [False, True])
def test_filters_step_by_step_equal_filters_all_at_once(bug: bool) -> None:
    network = _tiny(shared_kernel_bug=bug).double().network
    blurry = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    training, evaluation = network.train()(blurry), network.eval()(blurry)
    torch.testing.assert_close(training.images[0], evaluation.images[0], rtol=0, atol=1e-12)
    assert training.aux["filters"].shape == (2, 3 * 7 * 8, 2, 3)
    assert training.aux["disparity"].shape == (2, 1, 2, 3)
    assert evaluation.aux.keys() == {"disparity"}
    assert torch.equal(network.estimate_disparity(blurry), evaluation.aux["disparity"])


def test_the_bug_changes_the_output() -> None:
    right, wrong = _tiny().eval(), _tiny(shared_kernel_bug=True).eval()
    assert all(torch.equal(a, b) for a, b in zip(right.parameters(), wrong.parameters(), strict=True))
    blurry = torch.rand(1, 3, 16, 16)
    assert not torch.allclose(right(blurry).images[0], wrong(blurry).images[0])


def test_without_output_layer_it_is_the_identity() -> None:
    backbone = _tiny()
    nn.init.zeros_(backbone.network.out.weight)
    blurry = 3 * torch.rand(1, 3, 24, 16) - 1
    assert torch.equal(backbone(blurry).images[0], blurry)
    assert torch.equal(backbone.eval()(blurry).images[0], blurry.clamp(0, 1))


def test_gradients() -> None:
    network = _tiny(n_filters=2, width=1).double().network
    blurry = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda image: network(image).images[0], blurry)
    weight = network.filters.weight.detach().clone().requires_grad_()

    def by_weight(weight: Tensor) -> Tensor:
        return torch.func.functional_call(network, {"filters.weight": weight}, blurry.detach()).images[0][..., ::4, ::4]

    assert torch.autograd.gradcheck(by_weight, weight, fast_mode=True)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    backbone = _tiny()
    assert backbone.divisor == 8
    blurry = torch.rand(2, 3, *size)
    restored = backbone(blurry)
    assert [image.shape for image in restored.images] == [blurry.shape]
    pair = _pair(blurry, blurry.flip(0), left=blurry, right=blurry)
    assert all(loss.isfinite() for loss in backbone.auxiliary()(backbone, restored, pair).values())


def test_contract() -> None:
    assert_is_backbone(_tiny())


def test_wrong_settings() -> None:
    for settings in ({"width": 0}, {"n_filters": 0}):
        with pytest.raises(UserError, match="at least 1"):
            backbones.create("ifan", **settings)
    with pytest.raises(UserError, match="isotropic"):
        backbones.create("ifan", isotropic=True)


# ---------------------------------------------------------------------------------------------------------- heads


def test_the_reblurring_loss_by_hand() -> None:
    """With zero filters and a known bias the reblurred image is known."""
    backbone = _tiny()
    heads = backbone.auxiliary()
    last = heads.reblur[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.bias[-3:] = torch.tensor([0.1, -0.2, 0.3])  # the last step's, one per channel: no activation follows
    blurry, sharp = torch.rand(2, 3, 16, 24), torch.rand(2, 3, 16, 24)
    losses = heads(backbone, backbone(blurry), _pair(blurry, sharp))
    reblurred = F.interpolate(sharp, scale_factor=1 / 8, mode="nearest") + last.bias[-3:].view(1, 3, 1, 1)
    expected = (reblurred - F.interpolate(blurry, scale_factor=1 / 8, mode="area")).square().mean()
    assert losses.keys() == {"filter_reblur"}
    torch.testing.assert_close(losses["filter_reblur"], expected)


def test_the_reblurring_loss_decreases_and_trains_the_filters(photo: Tensor) -> None:
    backbone = _tiny()
    heads = backbone.auxiliary()
    sharp = photo[None, :, 100:164, 200:264] / 255
    blurry = F.avg_pool2d(F.pad(sharp, (4,) * 4, mode="reflect"), 9, 1)
    optimizer = torch.optim.Adam(heads.parameters(), lr=1e-3)
    losses = []
    for _ in range(15):
        loss = heads(backbone, backbone(blurry), _pair(blurry, sharp))["filter_reblur"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in heads.parameters())
    for part in (backbone.network.kernel_encoder, backbone.network.filters):
        assert all(parameter.grad.abs().max() > 0 for parameter in part.parameters())
    assert all(parameter.grad is None for parameter in backbone.network.out.parameters())


def test_the_head_has_the_bug_too() -> None:
    torch.manual_seed(0)
    blurry, sharp = torch.rand(2, 1, 3, 16, 16)
    for bug in (False, True):
        backbone = _tiny(shared_kernel_bug=bug)
        heads = backbone.auxiliary()
        heads(backbone, backbone(blurry), _pair(blurry, sharp))["filter_reblur"].backward()
        trained = heads.reblur[-1].weight.grad.abs().amax((1, 2, 3)) > 0  # 9 vertical, 9 horizontal taps per step
        assert trained[:9].all()
        assert trained[9:18].any() != bug


def _with_disparity(pixels: float) -> Backbone:
    backbone = _tiny()
    nn.init.zeros_(backbone.network.disparity[-1].weight)
    nn.init.constant_(backbone.network.disparity[-1].bias, pixels)
    return backbone


def _disparity_loss(backbone: Backbone, left: Tensor, right: Tensor) -> float:
    pair = _pair(left, left, left=left, right=right)
    return backbone.auxiliary()(backbone, backbone(left), pair)["disparity"].item()


def test_disparity_is_horizontal_at_an_eighth_of_the_resolution() -> None:
    torch.manual_seed(1)
    right = torch.rand(1, 3, 64, 64)
    left = right.roll(-8, -1)
    left[..., -8:] = 0  # content from outside the frame is black
    assert _disparity_loss(_with_disparity(0.0), right, right) < 1e-12
    assert _disparity_loss(_with_disparity(1.0), left, right) < 1e-12
    assert _disparity_loss(_with_disparity(0.0), left, right) > 1e-3
    assert _disparity_loss(_with_disparity(1.0), right.roll(-8, -2), right) > 1e-3


def test_the_disparity_loss_needs_both_views_and_trains_the_estimator() -> None:
    backbone = _tiny()
    heads, image = backbone.auxiliary(), torch.rand(1, 3, 32, 32)
    restored = backbone(image)
    assert "disparity" not in heads(backbone, restored, _pair(image, image, left=image))
    both = _pair(image, image, left=image, right=image.roll(3, -1))
    heads(backbone, restored, both)["disparity"].backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.network.disparity.parameters())
    assert all(parameter.grad is None for parameter in backbone.network.encoder.parameters())


# -------------------------------------------------------------------------------------------------------- weights


def _published(backbone: Backbone, rename: bool = True) -> dict[str, Tensor]:
    """A file's content, with other names than ours except for the prefix and the second encoder's."""
    state = {"module.reblurNet.0.weight": torch.rand(3, 3)}
    for number, (key, value) in enumerate(backbone.network.state_dict().items()):
        part = "kconv" if key.startswith("kernel_encoder.") else "part"
        theirs = f"{number:03}{part}.{key.rpartition('.')[2]}" if rename else key
        state[f"module.Network.{theirs}"] = value
    return state | {"module.reblurNet.1.weight": torch.rand(2)}


def _same(first: Backbone, second: Backbone) -> bool:
    theirs = second.network.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.network.state_dict().items())


def test_published_layout_with_our_names(tmp_path: Path) -> None:
    source, target = _tiny(seed=1), _tiny(seed=2)
    torch.save(_published(source, rename=False), tmp_path / "w.pth")
    loaded = load_weights(target, tmp_path / "w.pth")
    assert (loaded.layout, loaded.n_tensors) == ("bare", 158)
    assert "AGPL" in str(loaded.licence)
    assert _same(source, target)


def test_published_layout_by_order_warns_that_it_is_unverified(tmp_path: Path, caplog: Any) -> None:
    source, target = _tiny(seed=1), _tiny(seed=2)
    torch.save(_published(source), tmp_path / "w.pth")
    with caplog.at_level(logging.WARNING):
        assert load_weights(target, tmp_path / "w.pth") == ("foreign", 158, target.licence)
    assert "158 tensors are matched by order and shape, which is not verified" in caplog.text
    assert _same(source, target)


def _moved(state: dict[str, Tensor], first: int, second: int) -> dict[str, Tensor]:
    keys = list(state)
    keys[first], keys[second] = keys[second], keys[first]
    return {key: state[key] for key in keys}


@pytest.mark.parametrize("damage", ["encoders", "order", "kinds", "fewer", "settings", "safetensors"])
def test_mismatches_in_order_are_refused(damage: str, tmp_path: Path) -> None:
    source, target = _tiny(seed=1), _tiny(seed=2)
    before = {key: value.clone() for key, value in target.network.state_dict().items()}
    state, path = _published(source), tmp_path / "w.pth"
    if damage == "encoders":  # the second encoder first: the shapes are the same
        kernels = {key: value for key, value in state.items() if "kconv" in key}
        state = kernels | {key: value for key, value in state.items() if key not in kernels}
        assert [v.shape for v in kernels.values()] == [v.shape for v in list(state.values())[25:49]]
    elif damage == "order":
        state = _moved(state, 51, 153)
    elif damage == "kinds":
        state = {key.replace("002part.weight", "002part.bias"): value for key, value in state.items()}
    elif damage == "fewer":
        del state["module.Network.157part.bias"]
    elif damage == "settings":
        target = _tiny(seed=2, n_filters=2)
        before = {key: value.clone() for key, value in target.network.state_dict().items()}
    if damage == "safetensors":
        path = tmp_path / "w.safetensors"  # keeps no order, even if these names happen to sort correctly
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    with pytest.raises(UserError, match=r"do not fit backbone 'ifan'.*158 missing"):
        load_weights(target, path)
    assert all(torch.equal(value, before[key]) for key, value in target.network.state_dict().items())


def test_submodules_are_defined_in_execution_order() -> None:
    network, called = _tiny().network, []
    layers = {m: name for name, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)}
    for layer in layers:
        layer.register_forward_hook(lambda module, *_: called.append(layers[module]))
    network(torch.rand(1, 3, 8, 8))
    assert called == list(layers.values())


def test_exports_for_any_size() -> None:
    assert_exports_for_any_size(_tiny().eval().network, 8)
