"""Registration of two images of unequal blur: where they lie and how they differ in blur are found together.

Motion estimation compares intensities, and a blurry and a sharp image disagree at every edge; what the robust weights
and the frame's edges make of that is a bias of tenths of a pixel. So the softer image is explained as an affine motion
of a mixture of isotropic blurs of the sharper one. Such a mixture moves nothing (the argument of the paper's reblurring
network), so whatever motion is found is motion.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.flow.affine import affine_basis, affine_field, invert_affine
from jdrl_lightning.flow.filters import gradient, mean_over, robust_scale, robust_weight, smooth, texture
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.runtime.device_constants import constant

__all__ = ["SIGMAS", "in_order_of_sharpness", "match_blur", "register"]

SIGMAS = (0.0, 1.5, 3.0, 6.0)  # pixels
STEPS = 4
LARGEST_STEP_PX = 1.0
# Priors, in residual variances: how far the motion may leave its start (a residual says the same over about a hundred
# pixels, and 0.2 px are to be expected), and that little is explained by blur where there is little to go by.
MOTION_PRIOR, BLUR_PRIOR = 3000.0, 1000.0
# In pixels² of the half resolution: what smoothing by 0.8 px, 2×2 means and bilinear doubling add to a blur.
HALVING_VARIANCE = (0.8**2 + 0.25 + 0.75) / 4


def in_order_of_sharpness(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The sharper and the softer of two ``(B, 1, H, W)``, and ``(B, 1, 1, 1)``: whether they were exchanged."""
    exchanged = texture(first) < texture(second)
    return torch.where(exchanged, second, first), torch.where(exchanged, first, second), exchanged


def register(sharper: Tensor, softer: Tensor, parameters: Tensor, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """Affine motion and difference in blur, by robust Gauss-Newton.

    ``softer[p + u(p)] ≈ sharper[p] + Σ_σ a_σ(p) · (G_σ ∗ sharper)[p] + const``; ``u`` and each ``a_σ`` are affine in
    the position. Where there is little texture the motion stays near its start.

    Args:
        sharper: ``(B, 1, H, W)``.
        softer: ``(B, 1, H, W)``.
        parameters: where to start, ``(B, 2, 3)``, pixels over coordinates from −1 to 1.
        steps: how many.

    Returns:
        The motion, like ``parameters``, and the coefficients of the ``a_σ``, ``(B, 4, 3)``.
    """
    start, basis = parameters, affine_basis(sharper).flatten(1)
    blurs = torch.cat([blur.flatten(2) * basis for blur in _blurs(sharper)], dim=1)
    blurs = torch.cat([blurs, torch.ones_like(blurs[:, :1])], dim=1)
    unknown = 6 + blurs.shape[1]
    confidence = constant((MOTION_PRIOR,) * 6 + (BLUR_PRIOR,) * blurs.shape[1], basis)
    weight, variance = None, None
    for _ in range(steps):
        flow = affine_field(parameters, sharper)
        warped, valid = warp(softer, flow), in_frame(flow)
        difference = warped - sharper
        difference = difference - mean_over(difference, valid)
        if weight is None or variance is None:
            weight, variance = valid, _variance(difference, valid)
        slopes = (gradient(warped).flatten(2)[:, :, None] * basis).flatten(1, 2)  # all of dx, then all of dy
        columns = torch.cat([-slopes, blurs], dim=1)
        weighted = columns * weight.flatten(2)
        prior = variance * confidence
        away = F.pad((start - parameters).flatten(1), (0, unknown - 6))
        normal = weighted @ columns.transpose(1, 2) + torch.diag_embed(prior)
        solution = _solve(normal, weighted @ difference.flatten(2).transpose(1, 2) + (prior * away)[..., None])
        residual = difference - (solution.transpose(1, 2) @ columns).view_as(warped)
        weight, variance = robust_weight(residual, valid), _variance(residual, valid)
        parameters = parameters + solution[:, :6].view(-1, 2, 3).clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    return parameters, solution[:, 6:-1].view(len(sharper), len(SIGMAS), 3)


def match_blur(
    ours: list[Tensor], theirs: list[Tensor], parameters: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Refine an affine motion between two pyramids, and give the sharper image the other's blur.

    Args:
        ours: full and half resolution first; from there the blur is measured at half resolution.
        theirs: the same of the second image.
        parameters: ``(B, 2, 3)``, full-resolution pixels.

    Returns:
        Parameters, and both pyramids' two finest levels (one, if there are no more), equally blurry.
    """
    level = min(1, len(ours) - 1)
    sharper, softer, exchanged = in_order_of_sharpness(ours[level], theirs[level])
    turned = exchanged[:, 0]
    start = parameters / 2**level
    start = torch.where(turned, invert_affine(start, sharper), start)
    found, shares = register(sharper, softer, start)
    found = torch.where(turned, invert_affine(found, sharper), found) * 2**level

    finest = [torch.where(exchanged, b, a) for a, b in zip(ours[: level + 1], theirs, strict=False)]
    matched = [_reblurred(image, finest[level], shares) for image in finest]
    ours = [torch.where(exchanged, image, m) for image, m in zip(ours, matched, strict=False)]
    theirs = [torch.where(exchanged, m, image) for image, m in zip(theirs, matched, strict=False)]
    return found, ours, theirs


def _variance(residual: Tensor, valid: Tensor) -> Tensor:
    """``(B, 1)``, robust."""
    return robust_scale(residual, valid).square().flatten(1)


def _blurs(image: Tensor, removed: float = 0.0) -> list[Tensor]:
    """``G_σ ∗ image``, its mean taken off; ``removed`` is a variance that the blurs are already known to get later."""
    image = image - image.mean(dim=(2, 3), keepdim=True)
    return [smooth(image, math.sqrt(max(sigma**2 - removed, 0))) for sigma in SIGMAS]


def _reblurred(image: Tensor, measured: Tensor, shares: Tensor) -> Tensor:
    """``image + Σ a_σ(p) (G_σ ∗ image)``; on twice the grid of ``measured`` each σ is twice as long."""
    if image.shape == measured.shape:
        blurs = _blurs(image)
    else:
        # What is blurred can be blurred at half the resolution. Odd sides were rounded up on the way down.
        height, width = image.shape[-2:]
        coarse = _blurs(measured, HALVING_VARIANCE)[1:]
        wide = [F.interpolate(blur, scale_factor=2, mode="bilinear")[..., :height, :width] for blur in coarse]
        blurs = [image - image.mean(dim=(2, 3), keepdim=True), *wide]
    maps = torch.einsum("bli,ihw->blhw", shares, affine_basis(image))
    return image + (maps * torch.cat(blurs, dim=1)).sum(1, keepdim=True)


def _solve(normal: Tensor, right: Tensor) -> Tensor:
    """``normal x = right`` for a batch of semi-definite matrices of badly scaled unknowns, lightly damped."""
    unit = torch.eye(normal.shape[1], dtype=normal.dtype, device=normal.device)
    normal = normal + 1e-6 * unit  # rounding errors are no texture
    scale = normal.diagonal(dim1=1, dim2=2).sqrt()[..., None]
    solved, _ = torch.linalg.solve_ex(normal / (scale * scale.transpose(1, 2)) + 1e-5 * unit, right / scale)
    return solved / scale
