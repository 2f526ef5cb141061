"""The three tuples passed between data, network, objective and panels; their shapes are defined here once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Losses", "Pair", "Restored", "to_float", "to_uint"]


class Pair(NamedTuple):
    """A blurry and a sharp photo of one scene, aligned or not.

    Inside a batch every tensor has a leading ``B``; a single sample out of a data set has none. Images are RGB, either
    ``uint8``/``uint16`` (as read from disk) or float in [0, 1] (as the network and the losses see them);
    :meth:`to_float` makes the latter of the former.

    Attributes:
        blurry: ``(B, 3, H, W)``, the network's input.
        sharp: ``(B, 3, H, W)``, the sharp photo as taken: shifted and zoomed relative to ``blurry``.
        name: one name for each sample (a string for a single sample).
        extras: tensors that only some data sets have, the same keys throughout a data set. The truth of rendered pairs
            (``aligned`` ``(B, 3, H, W)``, the sharp image aligned with ``blurry``; ``flow`` ``(B, 2, H, W)``, pixels,
            ``warp(sharp, flow) ≈ aligned``; ``coc`` ``(B, 1, H, W)``, circle-of-confusion radius, pixels),
            dual-pixel views (``left``, ``right`` ``(B, 3, H, W)``), measured flow and blur (``there``, ``back``
            ``(B, 2, H, W)``, pixels, ``warp(sharp, there) ≈ blurry`` but for its blur, and the reverse; ``radius``
            ``(B, 1, H, W)``, of the blur, pixels, negative where unknown), or ``valid`` ``(B, 1, H, W)``, 1 where
            ``sharp`` can be trusted, else 0: losses leave out the rest.
    """

    blurry: Tensor
    sharp: Tensor
    name: list[str] | str
    extras: dict[str, Tensor]

    def to_float(self, dtype: torch.dtype = torch.float32) -> Pair:
        """The pair as networks and losses take it: integer images by :func:`to_float`, and every tensor of ``dtype``.

        Extras in other units (``flow``, ``coc``, ``radius``) are floats already and keep their values.
        """

        def convert(image: Tensor) -> Tensor:
            return to_float(image).to(dtype)

        extras = {name: convert(value) for name, value in self.extras.items()}
        return Pair(convert(self.blurry), convert(self.sharp), self.name, extras)


class Restored(NamedTuple):
    """What a backbone returns: ``images`` ``(B, 3, H, W)``, final output first; ``aux`` whatever else it predicts."""

    images: tuple[Tensor, ...]
    aux: dict[str, Tensor]


class Losses(NamedTuple):
    """What an objective returns.

    Attributes:
        total: scalar, ``Σ stage.weights[k] · terms[k]``.
        terms: unweighted scalars by name (``align``, ``align_back``, ``reblur``).
        maps: detached images for the panels (``mask`` ``(B, 1, H, W)``, ``flow`` ``(B, 2, H, W)``, ``aligned`` and
            ``reblurred`` ``(B, 3, H, W)``).
    """

    total: Tensor
    terms: dict[str, Tensor]
    maps: dict[str, Tensor]


def to_float(image: Tensor) -> Tensor:
    """``uint8 / 255`` or ``uint16 / 65535`` as float32 in [0, 1]; a float image passes unchanged."""
    if image.is_floating_point():
        return image
    return image.to(torch.float32) / {torch.uint8: 255.0, torch.uint16: 65535.0}[image.dtype]


def to_uint(image: Tensor, depth: int = 8) -> Tensor:
    """Float in [0, 1] to the nearest of ``2**depth`` levels; what lies outside is clamped.

    Raises:
        ValueError: NaN or infinite values.
    """
    if not torch.isfinite(image).all():
        raise ValueError("the image holds NaN or infinite values")
    dtype = {8: torch.uint8, 16: torch.uint16}[depth]
    return (image.float().clamp(0, 1) * (2**depth - 1)).round().to(torch.int32).to(dtype)
