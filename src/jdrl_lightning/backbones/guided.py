"""Any network, guided by a blur map that is estimated from the blurry image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jdrl_lightning import backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.blur_estimator import BlurEstimator
from jdrl_lightning.backbones.cell_blur_estimator import CellBlurEstimator
from jdrl_lightning.backbones.checkpoints import load_weights
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair, Restored

__all__ = ["DISC", "REACH_PX", "Guided", "GuidedBackbone", "guided"]

REACH_PX = 7.0  # mean radius of the blur, px, where a map of one channel is 1: the reach of 8 levels of kernels
DISC = 1.5  # radius of a disc by the mean distance of its points from the centre
INNER = "inner_"  # before the names of what the guided network predicts besides


class Guided(nn.Module):
    """Adds to the blurry image what attention and a 1×1 convolution make of it and its blur map, then restores.

    The convolution of the fusion starts at zero, so that the guided network starts as the network alone, to the bit.

    Args:
        inner: the network to guide.
        channels: of the map.
        width: feature channels of the estimator.
        frozen: train only the estimator and the fusion.
        stride: 1: :class:`.BlurEstimator`, as published; more: :class:`.CellBlurEstimator`.

    Attributes:
        strength: factor on the map where it guides, a scalar that is stored with the weights; an objective may raise it
            during a warm-up.

    Source: Ren et al., arXiv 2409.17792: estimator and attention. There the 1×1 convolution makes the image and is no
    residual.
    """

    strength: Tensor

    def __init__(
        self, inner: Backbone, channels: int = 1, width: int = 32, frozen: bool = False, stride: int = 4
    ) -> None:
        super().__init__()
        self.channels, self.frozen = channels, frozen
        self.register_buffer("strength", torch.ones(()))
        self.inner = inner.requires_grad_(not frozen)
        self.estimator: nn.Module = (
            BlurEstimator(channels, width) if stride == 1 else CellBlurEstimator(channels, width, stride)
        )
        self.attention = nn.Sequential(
            nn.Conv2d(3 + channels, 2, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(2, 3 + channels, 1, bias=False),
            nn.Sigmoid(),
        )
        self.fuse = nn.Conv2d(3 + channels, 3, 1)
        for parameter in self.fuse.parameters():
            nn.init.zeros_(parameter)

    def forward(self, blurry: Tensor) -> Restored:
        """Restore ``(B, 3, H, W)``.

        Returns:
            The images of ``inner``. ``aux``: ``map`` ``(B, channels, H, W)``; of one channel, also ``coc``
            ``(B, 1, H, W)``, the radius of a disc of that blur, px; and what ``inner`` predicts, as ``inner_…``.
        """
        guide = self.estimator(blurry)
        both = torch.cat([blurry, self.strength * guide], dim=1)
        attended = both * self.attention(both.mean(dim=(2, 3), keepdim=True))
        images, aux = self.inner(blurry + self.fuse(attended))
        aux = {INNER + name: value for name, value in aux.items()} | {"map": guide}
        if self.channels == 1:
            aux["coc"] = DISC * REACH_PX * guide.clamp_min(0)
        return Restored(images, aux)

    def train(self, mode: bool = True) -> Guided:
        """Training mode; a frozen network stays without dropout and with the statistics it has."""
        super().train(mode)
        if self.frozen:
            self.inner.network.eval()
        return self


class _InnerHeads(nn.Module):
    """The training-only heads of the guided network."""

    def __init__(self, heads: nn.Module) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, backbone: GuidedBackbone, restored: Restored, pair: Pair) -> dict[str, Tensor]:
        aux = {name.removeprefix(INNER): value for name, value in restored.aux.items() if name.startswith(INNER)}
        losses: dict[str, Tensor] = self.heads(backbone.network.inner, Restored(restored.images, aux), pair)
        return losses


class GuidedBackbone(Backbone):
    """:class:`Guided` as a backbone, with the heads of the network it guides."""

    network: Guided

    def __init__(self, network: Guided) -> None:
        inner = network.inner
        super().__init__(
            network,
            divisor=inner.divisor,
            licence=inner.licence,
            clamp_eval=inner.clamp_eval,
            name=f"guided_{inner.name}",
            block=inner.block,
        )

    def auxiliary(self) -> nn.Module | None:
        """The heads of the guided network, unless it is frozen."""
        heads = None if self.network.frozen else self.network.inner.auxiliary()
        return None if heads is None else _InnerHeads(heads)


def guided(
    of: Mapping[str, Any] | Backbone, channels: int = 1, width: int = 32, frozen: bool = False, stride: int = 4
) -> Backbone:
    """A network of the registry, guided by a blur map, as a backbone.

    Args:
        of: the network, or its name and settings, ``weights`` included.
        channels: of the map: 1 for a radius, 35 for the kernel seeds of the published form.
        width: see :class:`Guided`; 32 as published, 66,499 parameters for 35 channels and stride 1.
        frozen: see :class:`Guided`.
        stride: pixels a side for which the map is estimated once; 1 as published.

    Raises:
        UserError: no channels, width or stride; ``of`` is no network, or one that takes both views; or it or its
            weights cannot be had.
    """
    if min(channels, width, stride) < 1:
        raise UserError(
            f"backbone.channels={channels}, backbone.width={width} and backbone.stride={stride} must be at least 1"
        )
    if isinstance(of, Mapping):
        settings = dict(of)
        weights = settings.pop("weights", None)
        inner: Backbone = backbones.create(**settings)
        if weights:
            load_weights(inner, weights)
    elif isinstance(of, Backbone):
        inner = of
    else:
        name = of if isinstance(of, str) else "<name>"
        raise UserError(
            f"backbone.of={of!r} is no network: write backbone@backbone.of={name}, in Python of={{'name': '{name}'}}"
        )
    if inner.in_channels != 3:
        raise UserError("backbone=guided estimates its map from one picture: set backbone.of.in_channels=3")
    return GuidedBackbone(Guided(inner, channels, width, frozen, stride))
