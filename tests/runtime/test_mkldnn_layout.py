"""oneDNN's layout inside networks: the same values, and the default layout wherever it does not apply."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from jdrl_lightning.backbones import unet
from jdrl_lightning.backbones.dpdnet import DPDNet
from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.reblur import network as reblurring
from jdrl_lightning.reblur.network import PredictionNet
from jdrl_lightning.runtime.mkldnn_layout import MkldnnNetwork, to_mkldnn, use_mkldnn_layout

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(), reason="x86 only"
)
NETWORKS: dict[str, tuple[Callable[[], MkldnnNetwork], int]] = {
    "unet": (lambda: UNet(8, 0.4), 3),
    "dpdnet": (lambda: DPDNet(8, 0.4), 3),
    "reblurring": (lambda: PredictionNet(35, 8), 6),
}


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each call of ``to_mkldnn`` whether its result is in oneDNN's layout."""
    calls: list[bool] = []

    def recorded(features: Tensor, network: MkldnnNetwork) -> Tensor:
        found = to_mkldnn(features, network)
        calls.append(found.is_mkldnn)
        return found

    monkeypatch.setattr(unet, "to_mkldnn", recorded)
    monkeypatch.setattr(reblurring, "to_mkldnn", recorded)
    return calls


def results(network: MkldnnNetwork, image: Tensor, again: bool = False) -> list[Tensor]:
    """Output and gradients, of the input too; ``again``: features are recomputed in the backward pass."""
    torch.manual_seed(1)
    given = image.clone().requires_grad_()
    network.zero_grad()
    output = checkpoint(network, given, use_reentrant=False) if again else network(given)
    weight = torch.linspace(-1, 1, output.numel()).view_as(output)
    (output * weight).mean().backward()
    return [output.detach(), *(tensor.grad for tensor in (given, *network.parameters()) if tensor.grad is not None)]


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_those_of_the_default_layout(name: str, converted: list[bool]) -> None:
    torch.manual_seed(0)
    make, channels = NETWORKS[name]
    network, image = make(), torch.rand(2, channels, 80, 64)
    plain = results(network, image)
    with torch.inference_mode():
        restored = network.eval()(image)
    assert not any(converted)
    converted.clear()
    use_mkldnn_layout(network.train())
    ours, recomputed = results(network, image), results(network, image, again=True)
    with torch.inference_mode():
        torch.testing.assert_close(network.eval()(image), restored)
    assert converted
    assert all(converted)
    assert len(ours) == len(plain) == len(recomputed) > 10
    for mine, again, wanted in zip(ours, recomputed, plain, strict=True):
        torch.testing.assert_close(mine, wanted)
        assert torch.equal(mine, again)
        assert mine.layout == torch.strided
    use_mkldnn_layout(network, False)
    network(image)
    assert not converted[-1]


@pytest.mark.parametrize("name", NETWORKS)
def test_default_layout_where_the_other_does_not_apply(name: str, converted: list[bool]) -> None:
    make, channels = NETWORKS[name]
    network, image = make(), torch.rand(1, channels, 96, 96)
    use_mkldnn_layout(network)
    network(image)
    assert converted.pop()
    with torch.autocast("cpu", torch.bfloat16):
        network(image)
    assert not converted.pop()
    with torch.autograd.set_detect_anomaly(True, check_nan=True):
        network(image).sum().backward()
    assert not converted.pop()
    with torch.backends.mkldnn.flags(enabled=False):
        network(image[..., :96, :96])
    assert not converted.pop()
    network(image[..., :32, :32])
    assert not converted.pop()
    for strict in (False, True):
        torch.export.export(network.eval(), (image,), strict=strict)
    converted.clear()
    network.double()(image.double())
    assert not converted.pop()
    network.float()(image)
    assert converted.pop()


def test_nan_in_weights_is_not_lost(converted: list[bool]) -> None:
    network, image = UNet(8), torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        network.encoder["block1"][0].weight[0] = torch.nan
    use_mkldnn_layout(network)
    assert network(image).isnan().all()
    assert converted == [False]


@pytest.mark.parametrize(
    "listen", ["register_forward_hook", "register_full_backward_hook", "register_full_backward_pre_hook"]
)
def test_hooks_receive_features_in_the_default_layout(listen: str, converted: list[bool]) -> None:
    network, image = UNet(8), torch.rand(1, 3, 96, 96)
    use_mkldnn_layout(network)
    seen: list[Any] = []

    def hook(*given: Any) -> None:
        seen.append([float(tensor.std()) for tensors in given[1:] for tensor in tensors if tensor is not None])

    handle = getattr(network.encoder["block2"], listen)(hook)
    network(image).mean().backward()
    assert len(seen) == 1
    assert converted == [False]
    handle.remove()
    getattr(network, listen)(hook)  # input and output of the whole are in the default layout anyway
    network(image).mean().backward()
    assert len(seen) == 2
    assert converted == [False, True]


def test_a_network_outside_training_can_be_transformed() -> None:
    network, image = UNet(4, 0.0).eval(), torch.rand(1, 3, 96, 96)
    _, change = torch.func.jvp(network, (image,), (torch.ones_like(image),))
    moved = (network(image + 1e-3) - network(image - 1e-3)) / 2e-3
    assert (change - moved).norm() < 0.05 * change.norm()
    torch.fx.symbolic_trace(network)
