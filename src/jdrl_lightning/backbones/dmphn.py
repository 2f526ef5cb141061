"""DMPHN, the deep multi-patch hierarchical network: restores the image from small patches to the whole."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import read_weights

__all__ = ["DMPHN", "dmphn"]

HEIGHT, WIDTH = -2, -1
SPLITS = (HEIGHT, WIDTH, HEIGHT)  # axis along which the patches of levels 1, 2 and 3 are split for the next level


class DMPHN(nn.Module):
    """Level ``k`` has ``2 ** (k - 1)`` patches with a shared encoder and decoder, and no normalisation.

    From the finest level up, each level encodes its patches plus the correction decoded by the finer level, adds the
    finer level's features joined to the same size, and decodes the joined pairs into the next level's correction. Level
    1 decodes the image itself, not a correction. The patches of a level are processed as one batch.

    Args:
        levels: 3 (the paper's 1-2-4 patches) or 4 (1-2-4-8).
        width: channels at full resolution; 2 and 4 times as many at 1/2 and 1/4.

    Source: Zhang, Dai, Li and Koniusz, CVPR 2019, "Deep Stacked Hierarchical Multi-Patch Network for Image Deblurring".
    Parameters are named as in the published weights, with the file name (``encoder_lv1.`` and so on) as prefix.
    """

    def __init__(self, levels: int = 3, width: int = 32) -> None:
        super().__init__()
        if levels not in (3, 4):
            raise UserError(f"backbone.levels={levels!r} is neither 3 (patches 1-2-4) nor 4 (1-2-4-8)")
        self.levels = levels
        for level in range(1, levels + 1):
            self.add_module(f"encoder_lv{level}", Encoder(width))
            self.add_module(f"decoder_lv{level}", Decoder(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights with standard deviation ``0.5 sqrt(2 / n)``, ``n`` being the kernel's area times the output
        channels, as published; zero biases (our choice)."""
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                n = layer.kernel_size[0] * layer.kernel_size[1] * layer.out_channels
                nn.init.normal_(layer.weight, std=0.5 * (2 / n) ** 0.5)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [-0.5, 0.5], to the same shape; height and width multiples of 8, with four levels height
        of 16."""
        patches = [blurry]
        for axis in SPLITS[: self.levels - 1]:
            patches.append(_split(patches[-1], axis))
        features = self.get_submodule(f"encoder_lv{self.levels}")(patches[-1])
        for level in range(self.levels, 1, -1):
            features = _join(features, SPLITS[level - 2])
            correction = self.get_submodule(f"decoder_lv{level}")(features)
            features = features + self.get_submodule(f"encoder_lv{level - 1}")(patches[level - 2] + correction)
        return self.get_submodule("decoder_lv1")(features)


class Encoder(nn.Module):
    """``(B, 3, H, W)`` to features ``(B, 4 width, H / 4, W / 4)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1 = nn.Conv2d(3, width, 3, padding=1)
        self.layer2, self.layer3 = _residual(width), _residual(width)
        self.layer5 = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.layer6, self.layer7 = _residual(2 * width), _residual(2 * width)
        self.layer9 = nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1)
        self.layer10, self.layer11 = _residual(4 * width), _residual(4 * width)

    def forward(self, patches: Tensor) -> Tensor:
        features = self.layer3(self.layer2(self.layer1(patches)))
        features = self.layer7(self.layer6(self.layer5(features)))
        return self.layer11(self.layer10(self.layer9(features)))


class Decoder(nn.Module):
    """Features ``(B, 4 width, H / 4, W / 4)`` to ``(B, 3, H, W)``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer13, self.layer14 = _residual(4 * width), _residual(4 * width)
        self.layer16 = nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1)
        self.layer17, self.layer18 = _residual(2 * width), _residual(2 * width)
        self.layer20 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.layer21, self.layer22 = _residual(width), _residual(width)
        self.layer24 = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        features = self.layer16(self.layer14(self.layer13(features)))
        features = self.layer20(self.layer18(self.layer17(features)))
        return self.layer24(self.layer22(self.layer21(features)))


class _Residual(nn.Sequential):
    """Convolution, ReLU, convolution, plus the input; no activation after the sum."""

    def forward(self, input: Tensor) -> Tensor:
        return input + super().forward(input)


def _residual(channels: int) -> nn.Sequential:
    return _Residual(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


def _split(patches: Tensor, axis: int) -> Tensor:
    """Split into halves along ``axis``, ``(N, …)`` to ``(2 N, …)``: all first halves, then all second halves."""
    return torch.cat(patches.chunk(2, dim=axis), dim=0)


def _join(patches: Tensor, axis: int) -> Tensor:
    """The inverse of :func:`_split`, ``(2 N, …)`` to ``(N, …)``."""
    return torch.cat(patches.unflatten(0, (2, -1)).unbind(0), dim=axis)


def _read_folder(folder: Path, levels: int) -> dict[str, Tensor] | None:
    """The network's tensors from the published files, one state dict each; None if ``folder`` is not a folder.

    Raises:
        UserError: a file is missing, unreadable or has pickled code, or the network has more levels.
    """
    if not folder.is_dir():
        return None
    deeper = folder / f"encoder_lv{levels + 1}.pkl"
    if deeper.exists():  # the other levels' files would load, but give wrong results
        raise UserError(f"weights {deeper} are of a network with more levels: set backbone.levels")
    state: dict[str, Tensor] = {}
    for name in (f"{part}_lv{level}" for level in range(1, levels + 1) for part in ("encoder", "decoder")):
        file = folder / f"{name}.pkl"
        content = read_weights(file)
        if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
            raise UserError(f"weights {file} hold no state dict")
        state |= {f"{name}.{str(key).removeprefix('module.')}": value for key, value in content.items()}
    return state


def dmphn(levels: int = 3, width: int = 32) -> Backbone:
    """DMPHN as a backbone; 5,424,393 parameters with three levels, 7,232,524 with four.

    Published weights are a folder of ``encoder_lv1.pkl``, ``decoder_lv1.pkl``, ``encoder_lv2.pkl`` and so on.

    Args:
        levels: see :class:`DMPHN`.
        width: see :class:`DMPHN`.
    """
    licence = "the published weights come without a licence: all rights reserved by the authors of DMPHN"
    return Backbone(
        DMPHN(levels, width),
        divisor=8 if levels == 3 else 16,
        licence=licence,
        value_range=(-0.5, 0.5),
        name="dmphn",
        read_foreign=partial(_read_folder, levels=levels),
    )
