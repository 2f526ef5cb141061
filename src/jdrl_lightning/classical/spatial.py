"""Spatially varying deconvolution: one deconvolution per radius, blended by the defocus map."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from kornia.filters import get_gaussian_kernel2d
from torch import Tensor

from jdrl_lightning.classical.deconvolution import blur, deconvolve
from jdrl_lightning.data.synthetic.defocus_psf import disc
from jdrl_lightning.errors import UserError, check_choice

__all__ = ["MapDeconvolution"]

POINT_PX = 0.5  # a disc up to this radius is a single pixel


@dataclass(frozen=True)
class MapDeconvolution:
    """Deblurs with a map of blur radii; deconvolution is as in :func:`deconvolve`.

    The map is quantised to multiples of ``step_px`` and the whole image is deconvolved for each level that occurs; each
    pixel takes the result of its own level (``hard``) or interpolates between the two nearest (``soft``, no seams).
    Regions sharper than a level ring when deconvolved for it, and the ringing spreads into pixels of the level;
    therefore they are first blurred up to the level (``match``).

    The published pipelines use ``kernel="gaussian", blend="hard", match=False``. Matching and soft blending are ours.

    Args:
        weight: of the data term. A true map needs more, an estimated one less; the default is between the two optima on
            rendered validation pairs.
        alpha: exponent of the prior.
        step_px: difference between the radii of adjacent levels, pixels.
        blend: ``soft`` or ``hard``.
        kernel: ``disc``, or ``gaussian`` of the same second moment (σ is half the radius).
        match: blur regions sharper than a level up to it before deconvolving.

    Raises:
        UserError: invalid value.
    """

    weight: float = 200.0
    alpha: float = 1.5
    step_px: float = 0.5
    blend: str = "soft"
    kernel: str = "disc"
    match: bool = True

    def __post_init__(self) -> None:
        for name, known in (("blend", ("soft", "hard")), ("kernel", ("disc", "gaussian"))):
            check_choice(name, getattr(self, name), known)
        for name, most in (("weight", math.inf), ("step_px", math.inf), ("alpha", 2.0)):
            if not 0 < getattr(self, name) < most:
                raise UserError(f"{name}={getattr(self, name)!r} must be above 0 and below {most:g}")

    def __call__(self, blurry: Tensor, radius: Tensor) -> Tensor:
        """Deblur with a known map.

        Args:
            blurry: ``(B, 3, H, W)`` in [0, 1].
            radius: of the circle of confusion, ``(B, 1, H, W)``, pixels, not negative.

        Returns:
            ``(B, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: a map of a different size, or with negative or NaN radii.
        """
        if radius.shape != (blurry.shape[0], 1, *blurry.shape[-2:]):
            raise ValueError(f"radius {tuple(radius.shape)} does not fit blurry {tuple(blurry.shape)}")
        if not bool((radius >= 0).all()):
            raise ValueError("radius has negative or NaN values")
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
            # Second moments add, and that of a disc is proportional to its squared radius. Adjacent levels are blended.
            # Pixels within one step of the level are left as they are.
            missing = (level_px**2 - radius.square()).clamp_min(0).sqrt()
            blurry = _blurred_more(blurry, missing.masked_fill(radius >= level_px - self.step_px, 0))
        return deconvolve(blurry, _kernel(self.kernel, level_px), self.weight, self.alpha)


def _blurred_more(image: Tensor, radius: Tensor) -> Tensor:
    """Blur each pixel by a disc of its own radius, linearly interpolated between integer radii."""
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
