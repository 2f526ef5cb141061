"""Non-blind deconvolution under a hyper-Laplacian prior, by half-quadratic splitting and FFT."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur", "deconvolve", "shrink"]

BETA_FIRST, BETA_LAST, BETA_FACTOR = 1.0, 256.0, 2 * math.sqrt(2)  # the paper's continuation
LARGEST_GRADIENT = 2.0  # tables reach at least this far; beyond their end the correction is constant
ENTRIES = 4096
TAPERS = 4


def deconvolve(blurry: Tensor, kernel: Tensor, weight: float = 200.0, alpha: float = 1.5) -> Tensor:
    """The image ``x`` that minimises ``Σ weight/2 (k ∗ x − blurry)² + |∂x|^alpha + |∂y|^alpha``.

    ``w`` replaces the derivatives, coupled by ``beta/2 (∇x − w)²`` with ``beta`` growing from 1 to 256. ``w`` is looked
    up in a table (:func:`shrink`), ``x`` is a division in the Fourier domain. The image is padded with its edge pixels
    and tapered, since the Fourier domain is periodic.

    Args:
        blurry: ``(B, C, H, W)``, floating point, in [0, 1]; channels are independent.
        kernel: ``(h, w)``, odd sizes, sum 1, the same for all images and channels.
        weight: of the data term, λ in the paper; higher for less noise.
        alpha: exponent of the prior, in (0, 2). Natural images have 0.5 to 0.8; methods based on defocus maps usually
            take 1.5, which tolerates inaccurate kernels.

    Returns:
        ``(B, C, H, W)`` in the input's dtype, not clamped.

    Raises:
        ValueError: invalid exponent, weight or kernel.

    Source: Krishnan and Fergus, NIPS 2009, "Fast Image Deconvolution using Hyper-Laplacian Priors" (one inner
    iteration per ``beta``, as there).
    """
    if kernel.ndim != 2 or not (kernel.shape[0] % 2 and kernel.shape[1] % 2):
        raise ValueError(f"kernel {tuple(kernel.shape)} must be (h, w) with odd sizes")
    if not weight > 0:
        raise ValueError(f"weight={weight} must be positive")
    reach = [side // 2 for side in kernel.shape]
    padding = (2 * reach[1], 2 * reach[1], 2 * reach[0], 2 * reach[0])
    extended = F.pad(blurry, padding, mode="replicate")
    size = (extended.shape[-2], extended.shape[-1])
    transfer = _transfer(kernel.to(blurry), size)
    for _ in range(TAPERS):
        extended = _taper(extended, kernel.to(blurry), transfer)
    restored = _solve(extended, transfer, weight, alpha)
    return restored[..., padding[2] : size[0] - padding[3], padding[0] : size[1] - padding[1]]


def blur(sharp: Tensor, kernel: Tensor) -> Tensor:
    """``kernel ∗ sharp`` for ``(B, C, H, W)`` and ``(h, w)`` of odd sizes, edges replicated."""
    rows, columns = (side // 2 for side in kernel.shape)
    extended = F.pad(sharp, (columns, columns, rows, rows), mode="replicate")
    size = (extended.shape[-2], extended.shape[-1])
    blurred = torch.fft.irfft2(torch.fft.rfft2(extended) * _transfer(kernel.to(sharp), size), s=size)
    return blurred[..., rows : size[0] - rows, columns : size[1] - columns]


def _solve(blurry: Tensor, transfer: Tensor, weight: float, alpha: float) -> Tensor:
    """The alternating minimisation for a periodic image; ``transfer`` is the kernel's rfft2."""
    size = (blurry.shape[-2], blurry.shape[-1])
    difference = blurry.new_tensor([[-1.0, 1.0]])
    smoothness = sum(_transfer(d, size).abs().square() for d in (difference, difference.T))
    data, power = transfer.conj() * torch.fft.rfft2(blurry), transfer.abs().square()
    restored, beta = blurry, BETA_FIRST
    while beta <= BETA_LAST * (1 + 1e-9):
        table = _tabulate(alpha, beta, blurry)
        across = _look_up(restored.roll(-1, -1) - restored, table)
        down = _look_up(restored.roll(-1, -2) - restored, table)
        divergence = across.roll(1, -1) - across + down.roll(1, -2) - down
        ratio = weight / beta
        spectrum = (ratio * data + torch.fft.rfft2(divergence)) / (ratio * power + smoothness)
        restored = torch.fft.irfft2(spectrum, s=size)
        beta *= BETA_FACTOR
    return restored


def shrink(gradient: Tensor, alpha: float, beta: float) -> Tensor:
    """The ``w`` that minimises ``|w|^alpha + beta/2 (w − gradient)²``, elementwise, from a table.

    Args:
        gradient: any shape, floating point; accurate to 5e-5 up to ±2, twice the range of an image in [0, 1].
        alpha: in (0, 2).
        beta: positive.

    Raises:
        ValueError: an exponent outside (0, 2).
    """
    return _look_up(gradient, _tabulate(alpha, beta, gradient))


class _Table(NamedTuple):
    """``w`` on a uniform grid of ``|gradient|`` from ``start``, below which it is 0, to ``end``."""

    start: float
    end: float
    values: Tensor


def _tabulate(alpha: float, beta: float, like: Tensor) -> _Table:
    """For ``w ≠ 0`` the gradient is ``w + (alpha/beta) w^(alpha−1)``, which grows with ``w``: tabulated and inverted.

    For ``alpha < 1`` zero is a second minimum, and the global one below a threshold at which both cost the same,
    ``w^(2−alpha) = 2 (1−alpha)/beta``.
    """
    if not 0 < alpha < 2:
        raise ValueError(f"alpha={alpha} is outside (0, 2)")
    least = (2 * (1 - alpha) / beta) ** (1 / (2 - alpha)) if alpha < 1 else 0.0
    start = least + alpha / beta * least ** (alpha - 1)  # Python's 0**0 is 1, the limit for alpha = 1
    end = max(LARGEST_GRADIENT, 2 * start)
    w = torch.linspace(least, end, 8 * ENTRIES, dtype=torch.float64)
    gradient = w + alpha / beta * w ** (alpha - 1)
    wanted = torch.linspace(start, end, ENTRIES, dtype=torch.float64)
    above = torch.searchsorted(gradient, wanted).clamp(1, len(w) - 1)
    share = (wanted - gradient[above - 1]) / (gradient[above] - gradient[above - 1])
    return _Table(start, end, torch.lerp(w[above - 1], w[above], share).to(like))


def _look_up(gradient: Tensor, table: _Table) -> Tensor:
    size = gradient.abs()
    last = len(table.values) - 1
    place = ((size - table.start) * (last / (table.end - table.start))).clamp(0, last)
    below = place.long().clamp_max(last - 1)
    w = torch.lerp(table.values[below], table.values[below + 1], place - below)
    w = w + (size - table.end).clamp_min(0)
    return torch.where(size > table.start, w, 0).copysign(gradient)


def _transfer(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """rfft2 of ``kernel`` with its centre at the origin of the image."""
    spread = kernel.new_zeros(size)
    spread[: kernel.shape[0], : kernel.shape[1]] = kernel
    return torch.fft.rfft2(spread.roll([-(side // 2) for side in kernel.shape], dims=(0, 1)))


def _taper(image: Tensor, kernel: Tensor, transfer: Tensor) -> Tensor:
    """Blend towards the blurred image at the border, weighted by the kernel's autocorrelation along each axis."""
    size = (image.shape[-2], image.shape[-1])
    keep = image.new_ones(())
    for side, profile in ((0, kernel.sum(1)), (1, kernel.sum(0))):
        autocorrelation = torch.fft.irfft(torch.fft.rfft(profile, n=size[side]).abs().square(), n=size[side])
        along = 1 - autocorrelation / autocorrelation[0]
        keep = keep * (along[:, None] if side == 0 else along)
    blurred = torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=size)
    return torch.lerp(blurred, image, keep)
