"""INIKNet: filters the image with inverse kernels of seven sizes, chosen at each pixel by features of three scales."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.conv_lstm import lstm_step
from jdrl_lightning.backbones.iniknet_weights import read_published
from jdrl_lightning.backbones.inverse_kernels import SIDES_PX, InverseKernels, mixed
from jdrl_lightning.backbones.nafnet import LayerNorm2d
from jdrl_lightning.errors import UserError

__all__ = ["INIKNet", "iniknet"]

SHORTEST_PX = 16  # halved twice between scales, and twice within the U


class INIKNet(nn.Module):
    """``x = y + b + Σ α_s β_m C_sm (K_sm * y)``: the blurry image ``y``, filtered with a dictionary of kernels ``K``.

    Coordinate networks draw kernel ``m`` at each of seven sizes ``s``. A U of convolutions gives features of the image
    at 1/4, 1/2 and 1 of its size; two convolutional LSTMs pass them from fine to coarse and back, one for the weights
    ``β`` of the kernels and one for those of the sizes, ``α``, a softmax with an eighth share that filters nothing.
    ``C`` mixes the colours. All scales share their weights; only the full resolution is restored here, while the
    published training supervises the other two as well.

    Args:
        width: channels at the U's finest level; 2 and 4 times as many at the others.
        bases: coordinate networks.

    Raises:
        UserError: a number is not above 0.

    Source: Quan, Yao and Ji, "Single Image Defocus Deblurring via Implicit Neural Inverse Kernels", ICCV 2023, and the
    authors' code (github.com/xinyao240/INIKNet, MIT).
    """

    def __init__(self, width: int = 32, bases: int = 10) -> None:
        super().__init__()
        if width < 1 or bases < 1:
            raise UserError(f"backbone.width={width} and backbone.bases={bases} must be 1 or more")
        self.features = _FeatureU(width)
        self.base_memory, self.size_memory = _ScaleMemory(width), _ScaleMemory(width)
        self.base_head, self.size_head = nn.Conv2d(width, bases, 1), nn.Conv2d(width, 1 + len(SIDES_PX), 1)
        self.kernels = InverseKernels(bases)
        # The share that filters nothing has weights, too, as published; they have no effect.
        self.colours = nn.Conv2d((1 + len(SIDES_PX)) * 3 * bases, 3, 1)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)``, height and width multiples of 16, to the same shape."""
        features = [self.features(image) for image in (_quartered(blurry), _halved(blurry), blurry)]
        bases = self.base_head(self.base_memory(features))
        sizes = self.size_head(self.size_memory(features)).softmax(1)
        colours = self.colours.weight.view(3, 1 + len(SIDES_PX), 3, -1).transpose(0, 1)
        change = mixed(blurry, self.kernels(), sizes[:, 1:], bases, colours[1:])
        assert self.colours.bias is not None
        return blurry + self.colours.bias[:, None, None] + change


class _FeatureU(nn.Module):
    """``(B, 3, H, W)``, height and width multiples of 4, to ``(B, width, H, W)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.ModuleList(
            [_Conv(3, width), _Conv(width, 2 * width, stride=2), _Conv(2 * width, 4 * width, stride=2)]
        )
        self.encode = nn.ModuleList([_blocks(width), _blocks(2 * width), _blocks(4 * width)])
        self.up = nn.ModuleList([_doubling(4 * width), _doubling(2 * width)])
        self.merge = nn.ModuleList([_Conv(4 * width, 2 * width), _Conv(2 * width, width)])
        self.decode = nn.ModuleList([_blocks(2 * width), _blocks(width)])

    def forward(self, image: Tensor) -> Tensor:
        features, levels = image, []
        for enter, encode in zip(self.enter, self.encode, strict=True):
            features = encode(F.relu(enter(features)))
            levels.append(features)
        for up, merge, decode, level in zip(self.up, self.merge, self.decode, levels[-2::-1], strict=True):
            features = decode(F.relu(merge(torch.cat([F.relu(up(features)), level], dim=1))))
        return features


class _ScaleMemory(nn.Module):
    """Features at 1/4, 1/2 and 1 of the size, ``(B, width, …)``, to those of size 1 plus what all three tell of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(width, eps=1e-5)
        self.to_coarse, self.to_fine = _Cell(width), _Cell(width)

    def forward(self, features: list[Tensor]) -> Tensor:
        fine_first = [self.norm(scale) for scale in reversed(features)]
        coarse_last = _passed(self.to_coarse, fine_first, _halved)
        return features[-1] + _passed(self.to_fine, reversed(coarse_last), _doubled)[-1]


class _Cell(nn.Module):
    """A convolutional LSTM's cell: features and ``[output, cell]`` to the next ``[output, cell]``, all of one shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.blocks, self.gates = _blocks(2 * width), nn.Conv2d(2 * width, 4 * width, 1)

    def forward(self, features: Tensor, state: list[Tensor] | None) -> list[Tensor]:
        output, cell = state or [torch.zeros_like(features), torch.zeros_like(features)]
        return lstm_step(self.gates(self.blocks(torch.cat([features, output], dim=1))), cell)


class _ResidualBlock(nn.Module):
    """Adds convolution, ReLU, convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = _Conv(width, width), _Conv(width, width)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(F.relu(self.first(features)))


class _Conv(nn.Conv2d):
    """3×3 without bias. Borders are reflected; a side of one pixel, which cannot be, is repeated."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__(before, after, 3, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        mode = "reflect" if min(input.shape[-2:]) > 1 else "replicate"
        return super().forward(F.pad(input, (1, 1, 1, 1), mode=mode))


def _blocks(width: int) -> nn.Sequential:
    return nn.Sequential(_ResidualBlock(width), _ResidualBlock(width))


def _doubling(before: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, before // 2, 4, stride=2, padding=1, bias=False)


def _passed(cell: _Cell, features: Iterable[Tensor], resized: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The cell's outputs for features of one scale after another; its state is resized between them."""
    outputs: list[Tensor] = []
    state = None
    for scale in features:
        state = cell(scale, None if state is None else [resized(part) for part in state])
        outputs.append(state[0])
    return outputs


def _halved(image: Tensor) -> Tensor:
    """By bilinear interpolation: means of 2×2 pixels."""
    return F.avg_pool2d(image, 2)


def _quartered(image: Tensor) -> Tensor:
    """By bilinear interpolation without a filter: means of the middle 2×2 of 4×4 pixels."""
    return F.avg_pool2d(image[..., 1:-1, 1:-1], 2, stride=4)


def _doubled(image: Tensor) -> Tensor:
    return F.interpolate(image, scale_factor=2.0, mode="bilinear")


def iniknet(width: int = 32, bases: int = 10) -> Backbone:
    """INIKNet as a backbone; 1,976,847 parameters at the published size.

    Files that the authors' training code writes load; their names are converted (:func:`read_published`). The network
    sees BGR, as in their code.

    Args:
        width: see :class:`INIKNet`.
        bases: see :class:`INIKNet`.
    """
    return Backbone(
        INIKNet(width, bases),
        divisor=SHORTEST_PX,
        licence="the authors' code is MIT; published weights are not known to us",
        color_order="bgr",
        name="iniknet",
        read_foreign=partial(read_published, bases=bases),
        block=_ResidualBlock,
    )
