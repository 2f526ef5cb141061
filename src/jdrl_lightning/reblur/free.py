"""Reblur an image with freely predicted kernels: the ablation without isotropy."""

from __future__ import annotations

import torch
from torch import Tensor

from jdrl_lightning.reblur.operator import check, compute_dtype, pad

__all__ = ["reblur_free"]


def reblur_free(image: Tensor, kernels: Tensor, weights: Tensor, levels: int = 8, padding: str = "zeros") -> Tensor:
    """Blur each pixel with a mixture of freely predicted kernels.

    ``out = W_1 image + Σ_{i=2..levels} W_i (softmax(kernels_i) * image)``.

    Args:
        image: ``(B, C, H, W)``.
        kernels: logits, ``(B, Σ_{i=2..levels} (2 i - 1)², H, W)``, 3² channels first, each kernel row-major.
        weights: softmaxed weight maps, ``(B, levels, H, W)``, channel 0 for the unblurred image.
        levels: ``m`` of the paper, at least 2.
        padding: ``zeros`` or ``reflect``.

    Returns:
        ``(B, C, H, W)`` in the image's dtype.

    Raises:
        ValueError: a shape or a setting is wrong.

    Source: Li et al., AAAI 2023, Table 4, variant #5.
    """
    sizes = [(2 * level - 1) ** 2 for level in range(2, levels + 1)]
    check(image, {"kernels": (kernels, sum(sizes)), "weights": (weights, levels)}, levels, padding)
    dtype, reach = compute_dtype(image, kernels, weights), levels - 1
    height, width = image.shape[-2:]
    padded = pad(image.to(dtype), reach, padding)
    out = weights[:, :1].to(dtype) * image.to(dtype)
    for level, logits in enumerate(torch.split(kernels, sizes, dim=1), start=2):
        # unbind, not indexing: the backward of an index writes zeros for the whole kernel each time
        elements = iter((logits.to(dtype).softmax(dim=1) * weights[:, level - 1 : level].to(dtype)).unbind(dim=1))
        for dy in range(1 - level, level):
            rows = padded[:, :, reach + dy : reach + dy + height]
            for dx in range(1 - level, level):
                out = out + next(elements)[:, None] * rows[..., reach + dx : reach + dx + width]
    return out.to(image.dtype)
