"""KPAC: one kernel at five dilations with per-pixel weights; an inverse filter for blur of varying size."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.tensorflow_weights import read_tensorlayer

__all__ = ["KPAC", "KPACBlock", "kpac"]

DILATIONS = (1, 2, 3, 4, 5)
SLOPE = 0.2  # of the leaky ReLU


class KPAC(nn.Module):
    """Encoder, two KPAC blocks at the lowest resolution, decoder with skip connections; predicts a residual.

    A leaky ReLU follows every convolution except the last of each attention and of the network. That it also follows
    the transposed ones is our interpretation, which parameter counts cannot verify. Layers are registered in execution
    order, on which :func:`read_tensorlayer` relies.

    Args:
        levels: number of downsamplings by 2, 2 or 3.
        width: channels at full and half resolution; twice as many at lower ones.
        tf_padding: pad stride-2 convolutions like TensorFlow (see :class:`Halving`), as published weights require.

    Source: Son, Lee, Cho and Lee, ICCV 2021, "Single Image Defocus Deblurring Using Kernel-Sharing Parallel Atrous
    Convolutions".
    """

    def __init__(self, levels: int = 2, width: int = 48, tf_padding: bool = False) -> None:
        super().__init__()
        if levels not in (2, 3):
            raise UserError(f"backbone.levels={levels!r} is neither 2 nor 3")
        self.tf_padding = tf_padding
        channels = [width, width, 2 * width, 2 * width][: levels + 1]
        deepest = channels[-1]
        self.encoder = nn.ModuleList([nn.Sequential(_conv(3, width, 5), _conv(width, width, 3))])
        for before, after in pairwise(channels):
            self.encoder.append(nn.Sequential(Halving(before, after, tf_padding), _leaky(), _conv(after, after, 3)))
        self.blocks = nn.ModuleList([KPACBlock(deepest, width), KPACBlock(deepest, width)])
        self.merge = nn.Sequential(_conv(3 * deepest, deepest, 3), _conv(deepest, deepest, 3))
        self.decoder = nn.ModuleList(
            Doubling(before, after, _conv(2 * after, after, 3)) for after, before in reversed([*pairwise(channels[1:])])
        )
        self.decoder.append(Doubling(width, width, nn.Conv2d(2 * width, 3, 5, padding=2)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """He normal (fan in) for the leaky ReLU, zero biases, and 0 for the last convolution, so that the network
        starts as the identity. Our choice: the published initialisation is not known."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                taps = layer.kernel_size[0] * layer.kernel_size[1]
                if isinstance(layer, nn.ConvTranspose2d):
                    taps //= 4  # each output pixel uses every second tap in both directions
                nn.init.normal_(layer.weight, std=(2 / (1 + SLOPE**2) / (taps * layer.in_channels)) ** 0.5)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        *_, last_weight, _ = self.parameters()
        nn.init.zeros_(last_weight)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [-1, 1], height and width multiples of ``2 ** levels``, to the same shape."""
        features, skips = blurry, []
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        first = self.blocks[0](features)
        second = self.blocks[1](first)
        features = self.merge(torch.cat([features, first, second], dim=1))
        for stage, skip in zip(self.decoder, skips[-2::-1], strict=True):
            features = stage(features, skip)
        return blurry + features


class KPACBlock(nn.Module):
    """Five atrous convolutions with one shared kernel, two attentions over their outputs, and a fusing convolution.

    The scale attention weights each dilation per pixel, the shape attention each channel of the whole image, equally
    for all dilations.

    Args:
        channels: input and output channels.
        width: filters of the shared kernel.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.atrous = nn.Conv2d(channels, width, 5, bias=False)
        self.scale = nn.Sequential(
            _conv(channels, 32, 5, dilation=2),
            _conv(32, 32, 5, dilation=2),
            _conv(32, 16, 5, dilation=2),
            _conv(16, 16, 5, dilation=2),
            nn.Conv2d(16, len(DILATIONS), 5, padding=2),
            nn.Sigmoid(),
        )
        self.shape = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 12, 1), _leaky(), nn.Conv2d(12, width, 1), nn.Sigmoid()
        )
        self.fuse = _conv(len(DILATIONS) * width, channels, 3)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, channels, H, W)`` to the same shape."""
        scale, shape = self.scale(features), self.shape(features)
        branches = [
            F.leaky_relu_(F.conv2d(features, self.atrous.weight, padding=2 * dilation, dilation=dilation), SLOPE)
            * (scale[:, i : i + 1] * shape)
            for i, dilation in enumerate(DILATIONS)
        ]
        return self.fuse(torch.cat(branches, dim=1))


class Halving(nn.Conv2d):
    """A 3×3 convolution of stride 2, for even sizes.

    Args:
        before: input channels.
        after: output channels.
        tf_padding: TensorFlow's "same": zeros only below and to the right, so that odd rows and columns are sampled;
            with zeros on every side (False), even ones are.
    """

    def __init__(self, before: int, after: int, tf_padding: bool) -> None:
        super().__init__(before, after, 3, stride=2, padding=0 if tf_padding else 1)
        self.tf_padding = tf_padding

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, (0, 1, 0, 1)) if self.tf_padding else input)


class Doubling(nn.Module):
    """A 4×4 transposed convolution of stride 2, then ``fuse`` on the concatenation with the encoder's features."""

    def __init__(self, before: int, after: int, fuse: nn.Module) -> None:
        super().__init__()
        self.up = nn.Sequential(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), _leaky())
        self.fuse = fuse

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        return self.fuse(torch.cat([self.up(features), skip], dim=1))


def _conv(before: int, after: int, size: int, dilation: int = 1) -> nn.Sequential:
    padding = size // 2 * dilation
    return nn.Sequential(nn.Conv2d(before, after, size, padding=padding, dilation=dilation), _leaky())


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(SLOPE, inplace=True)


def _read_npz(file: Path, network: KPAC) -> dict[str, Tensor] | None:
    state = read_tensorlayer(file, network)
    if state is not None and not network.tf_padding:
        raise UserError(f"weights {file} are TensorFlow's: set backbone.tf_padding=true")
    return state


def kpac(levels: int = 2, width: int = 48, tf_padding: bool = False) -> Backbone:
    """KPAC as a backbone; 1,578,277 parameters with two levels, 2,057,893 with three.

    Published weights are TensorLayer npz files and need ``tf_padding``. Their arrays are assumed to be in execution
    order (in a block: shared kernel, scale attention, shape attention, last convolution), as TensorLayer writes them;
    this is untested on a published file. Each shape is checked.

    Args:
        levels: see :class:`KPAC`.
        width: see :class:`KPAC`; does not affect the attentions' size.
        tf_padding: see :class:`KPAC`.
    """
    network = KPAC(levels, width, tf_padding)
    licence = "the published weights are licensed under AGPL-3.0 (POSTECH)"
    return Backbone(
        network,
        divisor=2**levels,
        licence=licence,
        value_range=(-1.0, 1.0),
        name="kpac",
        read_foreign=partial(_read_npz, network=network),
    )
