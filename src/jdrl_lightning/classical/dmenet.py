"""DMENet, a network that estimates a defocus map: VGG19 encoder, decoder, and auxiliary heads for training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["DMENet", "defocus_loss", "map_to_radius", "radius_to_map"]

LEVELS = (2, 2, 4, 4, 4)  # convolutions of VGG19 per resolution
UNITS = 7
SLOPE = 0.2
MEAN_BGR = (103.939, 116.779, 123.68)  # of ImageNet, range 0 to 255
LARGEST = 15.0  # circle of confusion at map value 1, pixels


class DMENet(nn.Module):
    """Defocus map of an image; 26,943,184 parameters at the published width, 1,591,311 of them in auxiliary heads.

    VGG19 up to conv5_4; three decoder levels of nearest upsampling, skip connection and three convolutions, a fourth
    with one convolution; seven residual units; three convolutions to the map. An auxiliary head on each of the five
    levels. Every convolution has a bias; outside VGG it is followed by batch normalisation and leaky ReLU, or a sigmoid
    where it outputs a map (the final one without normalisation). Padding is symmetric throughout (documented for the
    encoder, our assumption elsewhere, as is the plain sum in the residual units). The domain-adaptation, content and
    sharpness networks used in the paper's training are not included.

    Args:
        width: channels of the first level, an even number.

    Source: Lee, Lee, Cho and Lee, CVPR 2019, "Deep Defocus Map Estimation using Domain Adaptation".
    """

    divisor = 16
    published_width = 64
    mean: Tensor

    def __init__(self, width: int = published_width) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)
        channels = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.encoder = nn.ModuleList(
            _vgg_level(before, after, count)
            for before, after, count in zip([3, *channels], channels, LEVELS, strict=False)
        )
        self.decoder = nn.ModuleList()
        outputs = [channels[-1], channels[2], channels[1], width, width]
        for number, (skip, count) in enumerate(zip(channels[-2::-1], (3, 3, 3, 1), strict=True)):
            before, after = outputs[number] + skip, outputs[number + 1]
            units = (_unit(before if first else after, after) for first in [True] + [False] * (count - 1))
            self.decoder.append(nn.Sequential(*units))
        self.refinement = nn.Sequential(*(_Residual(width) for _ in range(UNITS)))
        self.estimate = nn.Sequential(_unit(width, width), _unit(width, width // 2), _conv(width // 2, 1), nn.Sigmoid())
        self.auxiliary = nn.ModuleList(_head(output) for output in outputs)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Estimate the map.

        Args:
            image: ``(B, 3, H, W)``, RGB in [0, 1], sides multiples of 16.

        Returns:
            The map ``(B, 1, H, W)`` in [0, 1] (see :func:`map_to_radius`); in training mode also the auxiliary maps,
            at 1/16, 1/8, 1/4, 1/2 and full resolution.
        """
        features = image.flip(1) * 255 - self.mean
        skips: list[Tensor] = []
        for number, level in enumerate(self.encoder):
            features = level(F.max_pool2d(features, 2) if number else features)
            skips.append(features)
        levels = [skips.pop()]
        for block in self.decoder:
            upsampled = F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
            levels.append(block(torch.cat([upsampled, skips.pop()], dim=1)))
        estimate = self.estimate(self.refinement(levels[-1]))
        if not self.training:
            return (estimate,)
        return (estimate, *(head(level) for head, level in zip(self.auxiliary, levels, strict=True)))


def defocus_loss(maps: Sequence[Tensor], radius: Tensor) -> Tensor:
    """Sum of the mean squared errors of the map and of the auxiliary maps, each against the truth at its resolution.

    The paper trains with further terms (perceptual, sharpness calibration on CUHK, adversarial), which need other data
    than rendered pairs.

    Args:
        maps: as :class:`DMENet` returns them in training.
        radius: true circle of confusion, ``(B, 1, H, W)``, pixels.

    Returns:
        Scalar.
    """
    wanted = radius_to_map(radius)
    errors = [F.mse_loss(m, F.avg_pool2d(wanted, wanted.shape[-1] // m.shape[-1])) for m in maps]
    return torch.stack(errors).sum()


def radius_to_map(radius: Tensor) -> Tensor:
    """Map value of a radius in pixels: ``(radius + 1)/15``, clamped to 1 from 14 px.

    This is ``σ = (15 m − 1)/2`` of the published deconvolution with ``σ = radius/2``.
    """
    return ((radius + 1) / LARGEST).clamp(0, 1)


def map_to_radius(estimate: Tensor) -> Tensor:
    """Inverse of :func:`radius_to_map`, clamped to 0."""
    return (LARGEST * estimate - 1).clamp_min(0)


class _Residual(nn.Module):
    """Two 3×3 convolutions with a 1×1 shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shortcut = _unit(width, width, 1)
        self.body = nn.Sequential(_unit(width, width), _unit(width, width))

    def forward(self, features: Tensor) -> Tensor:
        return self.shortcut(features) + self.body(features)


def _conv(before: int, after: int, size: int = 3) -> nn.Conv2d:
    # Symmetric padding by one pixel replicates the edge.
    return nn.Conv2d(before, after, size, padding=size // 2, padding_mode="replicate")


def _unit(before: int, after: int, size: int = 3) -> nn.Sequential:
    return nn.Sequential(_conv(before, after, size), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE, inplace=True))


def _vgg_level(before: int, after: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(count):
        layers += [_conv(before if number == 0 else after, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _head(channels: int) -> nn.Sequential:
    return nn.Sequential(_unit(channels, channels // 2), _conv(channels // 2, 1), nn.BatchNorm2d(1), nn.Sigmoid())
