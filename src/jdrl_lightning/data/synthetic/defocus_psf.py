"""Defocus of a plane: a PSF, a disc or any other aperture, whose radius varies over the image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["blur_by_discs", "blur_by_kernels", "disc", "disc_kernel"]


def disc(radius: float, size: int) -> Tensor:
    """An antialiased disc ``(size, size)`` that sums to 1, centred at ``size // 2``; radius 0 is a point."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    distance = torch.hypot(offset[:, None], offset[None, :])
    coverage = (radius + 0.5 - distance).clamp(0, 1)
    return coverage / coverage.sum()


def disc_kernel(radius: int) -> Tensor:
    """The disc in the smallest odd square that holds it, float64."""
    return disc(radius, 2 * radius + 3)


def blur_by_discs(image: Tensor, radius: Tensor) -> Tensor:
    """Gather each pixel of ``image`` from a disc of its own radius.

    Integer radii are computed by FFT, fractional ones by linear interpolation. The image wraps around: add a margin as
    wide as the largest radius.

    Args:
        image: ``(C, H, W)``, linear light, premultiplied by its coverage, if any.
        radius: ``(H, W)``, pixels, at least 0.

    Returns:
        ``(C, H, W)``.
    """
    return blur_by_kernels(image, radius)


def blur_by_kernels(
    image: Tensor,
    radius: Tensor,
    kernel: Callable[[int], Tensor] = disc_kernel,
    stride: int = 1,
    first: tuple[int, int] = (0, 0),
) -> Tensor:
    """The same with a kernel of any shape, sampled by areas of ``stride`` pixels a side, for a part of the picture.

    Blur and area sampling are one convolution, which is done at the resolution of the result: the picture's and the
    kernel's pixels are split into ``stride²`` phases, and the products of their spectra added up.

    Args:
        image: ``(C, H, W)``, sides multiples of ``stride``.
        radius: ``(h, w)``, pixels of ``image``, at each pixel of the result.
        kernel: ``(n, n)`` of an integer radius, n odd, sum 1, its centre in the middle; radius 0 leaves the picture.
        stride: pixels of ``image`` a side of one of the result.
        first: row and column of the first pixel of the result, counted in pixels of the result.

    Returns:
        ``(C, h, w)``.
    """
    height, width = (side // stride for side in image.shape[-2:])
    rows, columns = (slice(start, start + size) for start, size in zip(first, radius.shape, strict=True))
    lowest, highest = math.floor(float(radius.min())), math.ceil(float(radius.max()))
    phases = torch.fft.rfft2(F.pixel_unshuffle(image[:, None], stride)) if highest else image
    blurred = image.new_zeros(len(image), *radius.shape)
    for step in range(lowest, highest + 1):
        if step == 0:
            level = F.avg_pool2d(image[None], stride)[0] if stride > 1 else image
        else:
            response = _response(kernel(step), stride, (height, width), phases.dtype)
            spectrum = phases[:, 0] * response[0]
            for phase in range(1, len(response)):
                spectrum.addcmul_(phases[:, phase], response[phase])
            level = torch.fft.irfft2(spectrum, s=(height, width))
        blurred.addcmul_((1 - (radius - step).abs()).clamp_min(0), level[:, rows, columns])
    return blurred


def _response(kernel: Tensor, stride: int, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    """Half spectra ``(stride², height, width // 2 + 1)`` of the kernel's phases, areas included.

    With ``g[m] = Σ k[m + t] / stride`` over ``t`` below ``stride``, result ``n`` is ``Σ g[stride·a − p] · x_p[n − a]``
    over ``a`` and the phases ``x_p[n] = x[stride·n + p]``; a kernel is small, so sums of exponentials beat an FFT.
    """
    reach = kernel.shape[0] // 2
    far = -(-(reach + stride - 1) // stride)
    margin = stride * far + stride - 1 - reach
    shifted = F.pad(kernel, (margin,) * 4)
    length = stride * (2 * far + 1)
    shifted = torch.stack([shifted[t : t + length] for t in range(stride)]).mean(0)
    shifted = torch.stack([shifted[:, t : t + length] for t in range(stride)]).mean(0)
    parts = F.pixel_unshuffle(shifted[None, None], stride)[0].flip(0).to(dtype)
    offset = torch.arange(-far, far + 1, dtype=torch.float64)
    down, across = (
        torch.polar(torch.ones(1, dtype=torch.float64), -2 * math.pi / side * torch.arange(count)[:, None] * offset)
        for side, count in zip(size, (size[0], size[1] // 2 + 1), strict=True)
    )
    return down.to(dtype) @ parts @ across.to(dtype).T
