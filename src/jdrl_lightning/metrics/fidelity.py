"""PSNR, SSIM and MAE, one value an image, as the deblurring papers compute them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["check_images", "mae", "psnr", "ssim"]

C1, C2 = 0.01**2, 0.03**2  # Wang et al.'s constants for a data range of 1
UNIFORM_PX = 7
GAUSSIAN_PX, GAUSSIAN_SIGMA = 11, 1.5


def psnr(restored: Tensor, sharp: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, ``-10 log10(mean d²)``: the data range is 1 whatever the values are.

    Average the values over images; pooling the squared error over a data set first is another (higher-variance) number.

    Args:
        restored: ``(B, C, H, W)``, floating point, in [0, 1].
        sharp: same shape.

    Returns:
        ``(B,)``, dB, in the inputs' dtype; infinite for equal images.

    Raises:
        ValueError: shapes that differ, or integer tensors.
    """
    check_images(restored, sharp)
    return -10 * (restored - sharp).square().flatten(1).mean(1).log10()


def mae(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean absolute error ``mean |d|``, ``(B,)``, of images in [0, 1]; arguments and errors as :func:`psnr`."""
    check_images(restored, sharp)
    return (restored - sharp).abs().flatten(1).mean(1)


def ssim(restored: Tensor, sharp: Tensor, window: str = "uniform") -> Tensor:
    """Structural similarity, per channel, averaged over channels and over the places where the window fits.

    ``uniform``, what every published deblurring figure uses: a 7×7 box with sample covariances (divided by 48, not 49),
    equal to ``skimage.metrics.structural_similarity(channel_axis=-1, data_range=1)``. ``gaussian``, Wang et al.'s own:
    11×11, σ = 1.5, population covariances, equal to the same with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``. The two differ by up to 0.01.

    Args:
        restored: ``(B, C, H, W)``, floating point, in [0, 1].
        sharp: same shape.
        window: ``uniform`` or ``gaussian``.

    Returns:
        ``(B,)``, in the inputs' dtype.

    Raises:
        ValueError: as :func:`psnr`; an image smaller than the window; an unknown window.
    """
    check_images(restored, sharp)
    if window not in ("uniform", "gaussian"):
        raise ValueError(f"window={window!r} is neither uniform nor gaussian")
    size = UNIFORM_PX if window == "uniform" else GAUSSIAN_PX
    if min(restored.shape[-2:]) < size:
        raise ValueError(f"SSIM needs at least {size}×{size} pixels, not {restored.shape[-2]}×{restored.shape[-1]}")
    local_mean = _box_mean if window == "uniform" else _gaussian_mean
    sample = UNIFORM_PX**2 / (UNIFORM_PX**2 - 1) if window == "uniform" else 1.0

    mean_r, mean_s = local_mean(restored), local_mean(sharp)
    variance_r = sample * (local_mean(restored.square()) - mean_r.square())
    variance_s = sample * (local_mean(sharp.square()) - mean_s.square())
    covariance = sample * (local_mean(restored * sharp) - mean_r * mean_s)
    luminance = (2 * mean_r * mean_s + C1) / (mean_r.square() + mean_s.square() + C1)
    structure = (2 * covariance + C2) / (variance_r + variance_s + C2)
    return (luminance * structure).flatten(1).mean(1)


def _box_mean(image: Tensor) -> Tensor:
    return F.avg_pool2d(F.avg_pool2d(image, (UNIFORM_PX, 1), stride=1), (1, UNIFORM_PX), stride=1)


def _gaussian_mean(image: Tensor) -> Tensor:
    offset = torch.arange(GAUSSIAN_PX, dtype=image.dtype, device=image.device) - GAUSSIAN_PX // 2
    taps = torch.softmax(-0.5 * (offset / GAUSSIAN_SIGMA).square(), dim=0)  # a normalised Gaussian is this softmax
    channels = image.shape[1]
    rows = F.conv2d(image, taps.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(rows, taps.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def check_images(restored: Tensor, sharp: Tensor) -> None:
    """Refuse by a ``ValueError`` what are not two floating-point images or batches ``(B, C, H, W)`` of one shape."""
    if restored.shape != sharp.shape or restored.ndim != 4:
        raise ValueError(f"restored {tuple(restored.shape)} and sharp {tuple(sharp.shape)} must both be (B, C, H, W)")
    if not (restored.is_floating_point() and sharp.is_floating_point()):
        raise ValueError(f"metrics take floats in [0, 1], not {restored.dtype} and {sharp.dtype}")
