"""IFAN: deblurs features with small separable per-pixel filters, applied iteratively."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.adaptive import TAPS, iterative_adaptive_convolution, step_filters
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.ifan_blocks import ResidualBlocks, conv, encoder, initialise
from jdrl_lightning.backbones.ifan_heads import IFANHeads
from jdrl_lightning.backbones.ifan_weights import read_by_order
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Restored

__all__ = ["IFAN", "ifan"]


class IFAN(nn.Module):
    """An encoder and a decoder for the image with adaptive filters in between, at 1/8 resolution.

    The filters are predicted from a second encoder and the disparity map estimated from it. A LeakyReLU(0.1) follows
    every convolution except those that output the disparity, the filters and the image. The submodules are defined in
    execution order; their names are ours, see :func:`~jdrl_lightning.backbones.ifan_weights.read_by_order`.

    Args:
        n_filters: number of filter pairs applied in sequence (N in the paper).
        width: channels at full resolution; 2, 4 and 4 times as many at 1/2, 1/4 and 1/8.
        shared_kernel_bug: reuse the vertical kernel in the horizontal pass, as in the published code. True for
            published weights; use False when training from scratch.

    Source: Lee et al., "Iterative Filter Adaptive Network for Single Image Defocus Deblurring", CVPR 2021.
    """

    def __init__(self, n_filters: int = 17, width: int = 32, shared_kernel_bug: bool = False) -> None:
        super().__init__()
        if n_filters < 1 or width < 1:
            raise UserError(f"backbone.n_filters={n_filters} and backbone.width={width} must be at least 1")
        self.n_filters, self.shared_kernel_bug = n_filters, shared_kernel_bug
        self.deep = deep = 4 * width
        channels = (width, 2 * width, deep, deep)
        self.encoder, self.kernel_encoder = encoder(channels), encoder(channels)
        self.disparity = nn.Sequential(_refine(deep, deep), nn.Conv2d(deep, 1, 3, padding=1))
        self.embed_disparity = conv(1, deep)
        self.fuse = nn.Sequential(_refine(2 * deep, deep), conv(deep, deep))
        self.filter_features = _refine(deep, deep)
        self.filters = nn.Conv2d(deep, n_filters * (2 * TAPS + 1) * deep, 1)
        self.reconstruct = nn.Sequential(conv(deep, deep), ResidualBlocks(deep, 3), conv(deep, deep))
        self.up = nn.ModuleList([_Up(deep, deep), _Up(deep, 2 * width), _Up(2 * width, width)])
        self.out = nn.Conv2d(width, 3, 3, padding=1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier-uniform, with gain 1.5 in the filter prediction; zero biases (as published)."""
        initialise(self)
        initialise(self.filter_features, gain=1.5)
        initialise(self.filters, gain=1.5)

    def forward(self, blurry: Tensor) -> Restored:
        """Restore ``(B, 3, H, W)``, height and width multiples of 8.

        Returns:
            One image. ``aux``: ``disparity`` ``(B, 1, H/8, W/8)`` and, in training mode only, ``filters``
            ``(B, N·7·C, H/8, W/8)`` with C = 4·width. In eval mode they are predicted step by step: together they have
            15,232 channels, 1.8 GB at 1120×1680.
        """
        skips = [blurry]
        for level in self.encoder:
            skips.append(level(skips[-1]))
        features = skips.pop()
        kernel_features = self.kernel_encoder(blurry)
        disparity = self.disparity(kernel_features)
        fused = self.fuse(torch.cat([kernel_features, self.embed_disparity(disparity)], dim=1))
        predicted = self.filter_features(fused)
        aux = {"disparity": disparity}
        if self.training:
            aux["filters"] = self.filters(predicted)
            features = iterative_adaptive_convolution(
                features, step_filters(aux["filters"], self.n_filters), self.shared_kernel_bug
            )
        else:
            features = iterative_adaptive_convolution(features, self._steps(predicted), self.shared_kernel_bug)
        features = self.reconstruct(features)
        for up in self.up:
            features = up(features, skips.pop())
        return Restored((blurry + self.out(features),), aux)

    def estimate_disparity(self, view: Tensor) -> Tensor:
        """The disparity ``(B, 1, H/8, W/8)`` of ``(B, 3, H, W)``, as in the forward pass."""
        return self.disparity(self.kernel_encoder(view))

    def _steps(self, predicted: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Predict the kernels and bias of each step from the corresponding output channels of ``filters``."""
        assert self.filters.bias is not None
        weights = step_filters(self.filters.weight, self.n_filters, dim=0)
        biases = step_filters(self.filters.bias, self.n_filters, dim=0)
        for weight, bias in zip(weights, biases, strict=True):
            vertical, horizontal, shift = (F.conv2d(predicted, *rows) for rows in zip(weight, bias, strict=True))
            yield vertical, horizontal, shift


class _Up(nn.Module):
    """Upsampling by 2, plus the encoder's features of that resolution, and two residual blocks."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.larger = nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True))
        self.refine = nn.Sequential(ResidualBlocks(after, 1), ResidualBlocks(after, 1))

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        return self.refine(self.larger(features) + skip)


def _refine(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(conv(before, after), ResidualBlocks(after, 2), ResidualBlocks(after, 2))


class _IFANBackbone(Backbone):
    """A backbone with a training-only head: the filters must also reblur."""

    def auxiliary(self) -> IFANHeads:
        network = self.network
        assert isinstance(network, IFAN)
        return IFANHeads(network.n_filters, network.deep, network.shared_kernel_bug)


def ifan(n_filters: int = 17, width: int = 32, shared_kernel_bug: bool = False) -> Backbone:
    """IFAN as a backbone; 10,476,996 parameters as published, and 19,139,685 in the training-only head.

    Args:
        n_filters: see :class:`IFAN`; 8, 17, 26, 35 and 44 are published.
        width: see :class:`IFAN`.
        shared_kernel_bug: see :class:`IFAN`.
    """
    network = IFAN(n_filters, width, shared_kernel_bug)
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    licence = "the published weights are under AGPL-3.0; other terms only from POSTECH"
    return _IFANBackbone(
        network, divisor=8, licence=licence, name="ifan", read_foreign=partial(read_by_order, wanted=shapes)
    )
