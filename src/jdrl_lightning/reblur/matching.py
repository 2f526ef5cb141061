"""Which disc blurs the sharp image as the blurry one is: a blur map from two images in place, without a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.flow.filters import smooth

__all__ = ["RADII", "matched_radius", "reblurred"]

RADII = tuple(float(radius) for radius in range(10))  # px
WINDOW_PX = 5.0  # σ of the neighbourhood that shares a radius
SAMPLES = 8.0  # independent ones in such a neighbourhood: how fast a larger residual rules a radius out
NOISE = 1e-5  # squared difference below which images are equal; a level in each colour is 4.6e-5
KNOWN_PX = 0.5  # largest standard deviation of a radius that is known


@torch.no_grad()
def matched_radius(sharp: Tensor, blurry: Tensor, known_px: float = KNOWN_PX) -> tuple[Tensor, Tensor]:
    """The radius of the disc of light whose blur turns one image into the other, pixel by pixel.

    ``sharp`` is blurred by each of ``RADII``; the squared difference to ``blurry``, over a Gaussian neighbourhood,
    makes each more or less likely: ``p(r) ∝ exp(−SAMPLES (e_r − e_min) / e_min)``. The mean of these is the radius,
    and it is known where their standard deviation is at most ``known_px``: not where nothing varies.

    Args:
        sharp: in place, ``(B, 3, H, W)``, [0, 1].
        blurry: same shape.
        known_px: as above.

    Returns:
        The radius, ``(B, 1, H, W)``, px, and where it is known, 1 or 0, same shape.
    """
    with torch.autocast(sharp.device.type, enabled=False):  # differences of a level need full precision
        errors = torch.cat([(_blurred(sharp, r) - blurry).square().sum(1, keepdim=True) for r in RADII], dim=1)
        errors = smooth(errors, WINDOW_PX)
    least = errors.amin(1, keepdim=True)
    likely = (-SAMPLES * (errors - least) / (least + NOISE)).softmax(dim=1)
    radii = likely.new_tensor(RADII).view(1, -1, 1, 1)
    mean = (likely * radii).sum(1, keepdim=True)
    variance = (likely * (radii - mean).square()).sum(1, keepdim=True)
    return mean, (variance <= known_px**2).to(mean.dtype)


def reblurred(sharp: Tensor, radius: Tensor) -> Tensor:
    """``sharp`` blurred at each pixel by the disc of its radius; linear between the whole ``RADII``.

    Args:
        sharp: ``(B, 3, H, W)``.
        radius: ``(B, 1, H, W)``, px, up to the largest of ``RADII``.
    """
    radius = radius.clamp(0, RADII[-1])
    return sum(((1 - (radius - r).abs()).clamp_min(0) * _blurred(sharp, r) for r in RADII), torch.zeros_like(sharp))


def _blurred(image: Tensor, radius: float) -> Tensor:
    reach = math.ceil(radius)
    offset = torch.arange(-reach, reach + 1, dtype=image.dtype, device=image.device)
    kernel = (radius + 0.5 - torch.hypot(offset[None], offset[:, None])).clamp(0, 1)
    kernel = (kernel / kernel.sum()).expand(image.shape[1], 1, -1, -1)
    return F.conv2d(F.pad(image, (reach,) * 4, mode="replicate"), kernel, groups=image.shape[1])
