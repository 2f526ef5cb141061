"""Convolutions with predicted per-pixel kernels: 2-D for images, iterated separable ones for features."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["TAPS", "dynamic_filter", "iterative_adaptive_convolution", "step_filters"]

TAPS = 3  # of the separable kernels
SLOPE = 0.1  # of the LeakyReLU between steps


def dynamic_filter(image: Tensor, kernels: Tensor) -> Tensor:
    """Filter each pixel's neighbourhood with its own kernel, shared by the channels; edges are replicated.

    ``filtered[p] = Σ_k kernels[k, p] · image[p + offset_k]``, as a loop over shifts, without unfolding k² copies.

    Args:
        image: ``(B, C, H, W)``.
        kernels: ``(B, k², H, W)``, k odd; row-major, so channel 0 is the neighbour k // 2 up and left.

    Returns:
        ``(B, C, H, W)``.

    Raises:
        ValueError: the number of channels is not the square of an odd number.
    """
    side = round(kernels.shape[1] ** 0.5)
    if side * side != kernels.shape[1] or side % 2 == 0:
        raise ValueError(f"{kernels.shape[1]} channels are not a kernel: they must be the square of an odd number")
    height, width = image.shape[-2:]
    padded = F.pad(image, (side // 2,) * 4, mode="replicate")
    filtered = torch.zeros_like(image)
    for index, kernel in enumerate(kernels.split(1, dim=1)):
        row, column = divmod(index, side)
        filtered = torch.addcmul(filtered, kernel, padded[..., row : row + height, column : column + width])
    return filtered


def iterative_adaptive_convolution(
    features: Tensor,
    steps: Iterable[tuple[Tensor, Tensor, Tensor]],
    shared_kernel_bug: bool = False,
    last_activation: bool = True,
) -> Tensor:
    """Filter ``features`` iteratively: vertically, horizontally, plus a bias, all per pixel and channel.

    Each step ends with a LeakyReLU(0.1). Three taps per pass, edges replicated, computed as sums of shifted views.

    Args:
        features: ``(B, C, H, W)``.
        steps: vertical and horizontal kernels ``(B, C·3, H, W)``, the taps of a channel adjacent, and bias
            ``(B, C, H, W)`` of each step, in order.
        shared_kernel_bug: reuse the vertical kernel in the horizontal pass, as the published code does.
        last_activation: False omits the activation after the last step.

    Returns:
        ``(B, C, H, W)``.

    Source: Lee et al., CVPR 2021, Eq. 1.
    """
    for number, (vertical, horizontal, bias) in enumerate(steps):
        if number:
            features = F.leaky_relu(features, SLOPE)
        features = _three_taps(features, vertical, -2)
        features = _three_taps(features, vertical if shared_kernel_bug else horizontal, -1) + bias
    return F.leaky_relu(features, SLOPE) if last_activation else features


def step_filters(filters: Tensor, n_filters: int, dim: int = 1) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Split predicted filters into the kernels and the bias of each step, as views.

    Args:
        filters: ``(B, n·7·C, H, W)``: for each of the n steps the vertical kernels (C channels of three taps) and the
            horizontal ones; after all kernels, for each step the bias of C channels.
        n_filters: n.
        dim: dimension to split; 0 splits the parameters of the convolution that predicts the filters.
    """
    channels = filters.shape[dim] // (n_filters * (2 * TAPS + 1))
    parts = filters.split([TAPS * channels] * (2 * n_filters) + [channels] * n_filters, dim)
    kernels, biases = parts[: 2 * n_filters], parts[2 * n_filters :]
    return list(zip(kernels[::2], kernels[1::2], biases, strict=True))


def _three_taps(features: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """``Σ_k kernel[:, :, k] · features`` at −1, 0, 1 along ``axis``; ``kernel`` is ``(B, C·3, H, W)``."""
    padded = F.pad(features, (0, 0, 1, 1) if axis == -2 else (1, 1, 0, 0), mode="replicate")
    before, *others = kernel.unflatten(1, (-1, TAPS)).unbind(2)
    filtered = before * padded.narrow(axis, 0, features.shape[axis])
    for start, tap in enumerate(others, 1):
        filtered = torch.addcmul(filtered, tap, padded.narrow(axis, start, features.shape[axis]))
    return filtered
