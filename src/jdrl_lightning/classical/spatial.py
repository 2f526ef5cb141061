"""Deconvolution with a blur that changes over the picture: one deconvolution a radius, joined by the defocus map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from kornia.filters import get_gaussian_kernel2d
from torch import Tensor

from jdrl_lightning.classical.deconvolution import blur, deconvolve
from jdrl_lightning.data.synthetic.defocus_psf import disc
from jdrl_lightning.errors import UserError

__all__ = ["MapDeconvolution"]

POINT_PX = 0.5  # a disc up to this radius is one pixel: there is nothing to undo


@dataclass(frozen=True)
class MapDeconvolution:
    """Deblurs with a map of blur radii; deconvolution is as in :func:`deconvolve`.

    The map is quantised to multiples of ``step_px``, the whole picture is deconvolved for each of them that occurs, and
    each pixel takes the result of its own level (``hard``) or both neighbouring levels in proportion (``soft``: no
    seams). What is sharper than a level rings when deconvolved for it, and the ringing reaches into the level's own
    pixels; therefore it is first blurred up to the level (``match``).

    The published pipelines have ``kernel="gaussian", blend="hard", match=False``. Matching and soft blending are ours.

    Args:
        weight: of the data term. More serves a true map, less an estimated one; on rendered validation pairs the
            default is between the two.
        alpha: exponent of the prior.
        step_px: between the levels' radii, pixels.
        blend: ``soft`` or ``hard``.
        kernel: ``disc``, or ``gaussian`` of the same second moment (σ is half the radius).
        match: blur what is sharper than a level up to it before deconvolving.

    Raises:
        UserError: a value that is none of these.
    """

    weight: float = 200.0
    alpha: float = 1.5
    step_px: float = 0.5
    blend: str = "soft"
    kernel: str = "disc"
    match: bool = True

    def __post_init__(self) -> None:
        for name, known in (("blend", ("soft", "hard")), ("kernel", ("disc", "gaussian"))):
            if getattr(self, name) not in known:
                raise UserError(f"{name}={getattr(self, name)!r} is neither {known[0]} nor {known[1]}")
        for name, most in (("weight", math.inf), ("step_px", math.inf), ("alpha", 2.0)):
            if not 0 < getattr(self, name) < most:
                raise UserError(f"{name}={getattr(self, name)!r} must be above 0 and below {most:g}")

    def __call__(self, blurry: Tensor, radius: Tensor) -> Tensor:
        """Deblur.

        Args:
            blurry: ``(B, 3, H, W)`` in [0, 1].
            radius: ``(B, 1, H, W)``, pixels, not negative: the circle of confusion's.

        Returns:
            ``(B, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: a map of another size, or with negative or undefined radii.
        """
        if radius.shape != (blurry.shape[0], 1, *blurry.shape[-2:]):
            raise ValueError(f"radius {tuple(radius.shape)} does not fit blurry {tuple(blurry.shape)}")
        if not bool((radius >= 0).all()):
            raise ValueError("radius holds negative or undefined values")
        place = radius / self.step_px
        if self.blend == "hard":
            place = place.round()
        restored = torch.zeros_like(blurry)
        for level in range(math.floor(float(place.min())), math.ceil(float(place.max())) + 1):
            share = (1 - (place - level).abs()).clamp_min(0).to(blurry)
            concerned = share.flatten(1).any(1)
            if concerned.any():
                result = self._level(blurry[concerned], radius[concerned], level * self.step_px)
                restored[concerned] += share[concerned] * result
        return restored.clamp(0, 1)

    def _level(self, blurry: Tensor, radius: Tensor, level_px: float) -> Tensor:
        if level_px <= POINT_PX:
            return blurry
        if self.match:
            # Second moments add, and a disc's grows with its radius squared. Neighbouring levels blend: they stay.
            missing = (level_px**2 - radius.square()).clamp_min(0).sqrt()
            blurry = _blurred_more(blurry, missing.masked_fill(radius >= level_px - self.step_px, 0))
        return deconvolve(blurry, _kernel(self.kernel, level_px), self.weight, self.alpha)


def _blurred_more(image: Tensor, radius: Tensor) -> Tensor:
    """Each pixel from a disc of its own radius: whole radii, blended linearly in between."""
    blurred = torch.zeros_like(image)
    for step in range(math.ceil(float(radius.max())) + 1):
        share = (1 - (radius - step).abs()).clamp_min(0)
        if share.any():
            blurred += share * (blur(image, _kernel("disc", step)) if step > POINT_PX else image)
    return blurred


def _kernel(shape: str, radius_px: float) -> Tensor:
    if shape == "disc":
        return disc(radius_px, 2 * math.ceil(radius_px) + 1)
    sigma = torch.full((1, 2), radius_px / 2, dtype=torch.float64)
    return get_gaussian_kernel2d(2 * math.ceil(1.5 * radius_px) + 1, sigma)[0]
