"""oneDNN's layout within networks: the same numbers, and plain tensors wherever it would not do."""

from __future__ import annotations

import platform
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jdrl_lightning import blocked as module
from jdrl_lightning.backbones import unet
from jdrl_lightning.backbones.dpdnet import DPDNet
from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.blocked import blocked
from jdrl_lightning.reblur import network as reblurring
from jdrl_lightning.reblur.network import PredictionNet

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or not torch.backends.mkldnn.is_available(), reason="x86 only"
)
NETWORKS = {
    "unet": (lambda: UNet(8, 0.4), 3),
    "dpdnet": (lambda: DPDNet(8, 0.4), 3),
    "reblurring": (lambda: PredictionNet(35, 8), 6),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each tensor that asked became a blocked one."""
    answers: list[bool] = []

    def watched(features: Tensor, network: nn.Module) -> Tensor:
        found = blocked(features, network)
        answers.append(found.is_mkldnn)
        return found

    monkeypatch.setattr(unet, "blocked", watched)
    monkeypatch.setattr(reblurring, "blocked", watched)
    return answers


def results(network: nn.Module, image: Tensor, **how: Any) -> list[Tensor]:
    """Output and gradients, of the input too."""
    torch.manual_seed(1)
    given = image.clone().requires_grad_()
    network.zero_grad()
    output = checkpoint(network, given, use_reentrant=False) if how else network(given)
    weight = torch.linspace(-1, 1, output.numel()).view_as(output)
    (output * weight).mean().backward()
    return [output.detach(), *(tensor.grad for tensor in (given, *network.parameters()) if tensor.grad is not None)]


@pytest.mark.parametrize("name", NETWORKS)
def test_values_and_gradients_are_the_plain_ones(name: str, asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    make, channels = NETWORKS[name]
    network, image = make(), torch.rand(2, channels, 80, 64)
    ours, again = results(network, image), results(network, image, checkpointed=True)
    assert asked
    assert all(asked)
    monkeypatch.setattr(module, "FROM_PIXELS", 10**9)
    asked.clear()
    plain = results(network, image)
    assert not any(asked)
    assert len(ours) == len(plain) == len(again) > 10
    for mine, recomputed, wanted in zip(ours, again, plain, strict=True):
        torch.testing.assert_close(mine, wanted)
        assert torch.equal(mine, recomputed)
        assert mine.layout == torch.strided
    with torch.inference_mode():
        restored = network.eval()(image)
    monkeypatch.undo()
    with torch.inference_mode():
        torch.testing.assert_close(network(image), restored)


@pytest.mark.parametrize("name", NETWORKS)
def test_plain_where_the_layout_would_not_do(name: str, asked: list[bool]) -> None:
    make, channels = NETWORKS[name]
    network, image = make(), torch.rand(1, channels, 96, 96)
    network(image)
    assert asked.pop()
    with torch.autocast("cpu", torch.bfloat16):
        network(image)
    assert not asked.pop()
    with torch.autograd.detect_anomaly(check_nan=True):
        network(image).sum().backward()
    assert not asked.pop()
    network(image[..., :32, :32])
    assert not asked.pop()
    torch.export.export(network.eval(), (image,))
    assert not asked.pop()
    network.to(memory_format=torch.channels_last)(image)
    assert not asked.pop()
    network.double()(image.double())
    assert not asked.pop()
    assert not asked


def test_hooks_are_given_plain_features(asked: list[bool]) -> None:
    network, image = UNet(8), torch.rand(1, 3, 96, 96)
    seen: list[Tensor] = []
    handle = network.encoder["block2"].register_forward_hook(lambda _, __, features: seen.append(features.mean()))
    network(image)
    assert len(seen) == 1
    assert asked == [False]
    handle.remove()
    network.register_forward_hook(lambda _, __, image: seen.append(image.mean()))  # what comes out is plain anyway
    network(image)
    assert len(seen) == 2
    assert asked == [False, True]
