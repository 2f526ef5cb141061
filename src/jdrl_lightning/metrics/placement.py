"""How far a restored image moved: the global affine displacement to its reference, to hundredths of a pixel."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.flow.affine import affine_basis, affine_field
from jdrl_lightning.flow.filters import gradient, mean_over, robust_scale, robust_weight, smooth, texture
from jdrl_lightning.flow.gauss_newton import affine_motion, grey, pyramid
from jdrl_lightning.flow.warp import in_frame, magnitude, warp

__all__ = ["Placement", "placement_error"]

LARGEST_PX = 2**20  # of an image; a larger one is reduced: a megapixel takes 10 s, and shows the motion as well
STEPS = 6
SIGMAS_PX = (1.5, 3.0, 6.0)  # between them lie the bands whose strength may differ
LARGEST_STEP_PX = 1.0
TONE_PX = 8.0  # σ of what counts as tone: a smooth sky a little darker at its top looks exactly like a shifted one
DAMPING = 1e-6
# Prior on zoom, rotation and shear, in residual variances over px²: without it what little texture there is decides, by
# its blur's asymmetries, how a textureless rest of the frame is stretched. A shift is free.
STIFFNESS = 3000.0


class Placement(NamedTuple):
    """Displacement from restored to reference, pixels; 0 where every detail is in place.

    Attributes:
        mean: ``(B, 2)``, (dx, dy) averaged over the frame: the drift. ``reference[p + mean] ≈ restored[p]``.
        rms: ``(B,)``, root mean square of its length over the frame.
        p95: ``(B,)``, its 95th percentile.
    """

    mean: Tensor
    rms: Tensor
    p95: Tensor


@torch.no_grad()
def placement_error(restored: Tensor, reference: Tensor) -> Placement:
    """Register ``restored`` to ``reference`` by one affine map, whatever the blur of either.

    A symmetric blur moves nothing, but it changes the image along with its gradient, and a plain registration reads
    tenths of a pixel into that. So the difference in blur is estimated together with the motion, by robust least
    squares: the sharper image's bands of frequencies, whose strengths may change linearly over the frame, plus the
    blurrier one's gradient times the displacement. Bands are symmetric around each pixel and cannot imitate a shift.
    Brightness, contrast, slow changes of tone, outliers and the blur of bilinear sampling do not count either; the
    reference may be the blurry input. Images of more than a megapixel are reduced first, by a whole number.

    Args:
        restored: ``(B, 3, H, W)``, RGB in [0, 1].
        reference: same shape.

    Returns:
        Per image; float32.

    Raises:
        ValueError: the shapes differ.
    """
    if restored.shape != reference.shape or restored.ndim != 4:
        raise ValueError(f"restored {tuple(restored.shape)} and reference {tuple(reference.shape)} differ in shape")
    reduction = math.ceil(math.sqrt(restored.shape[-2] * restored.shape[-1] / LARGEST_PX))
    first, second = (F.avg_pool2d(grey(image.float()), reduction) for image in (restored, reference))
    first_is_sharper = texture(first) >= texture(second)
    parameters = affine_motion(pyramid(_without_tone(first)), pyramid(_without_tone(second)))
    trust = torch.ones_like(first)
    for _ in range(STEPS):
        flow = affine_field(parameters, first)
        step, trust = _step(first, warp(second, flow), in_frame(flow), trust, first_is_sharper, parameters)
        parameters = parameters + step
    flow = affine_field(parameters, first)
    length = magnitude(flow).flatten(1)
    p95 = length.kthvalue(math.ceil(0.95 * length.shape[1]), dim=1).values  # torch.quantile refuses 16 megapixels
    return Placement(*(reduction * value for value in (flow.mean(dim=(2, 3)), length.square().mean(1).sqrt(), p95)))


def _step(
    first: Tensor, warped: Tensor, inside: Tensor, trust: Tensor, first_is_sharper: Tensor, parameters: Tensor
) -> tuple[Tensor, Tensor]:
    """One Gauss-Newton step ``(B, 2, 3)`` in motion and blur, and how far to trust each pixel in the next.

    Solves ``blurrier − sharper = Σ_k c_k(p) band_k(sharper) ± ∇blurrier · δ(p) + tone(p)`` with ``c_k`` and ``δ``
    linear in p; plus if the ``warped`` image, which the motion acts on, is the sharper one. The tone falls out of the
    equation, both sides of which lose their local mean.
    """
    weight = inside * trust
    mean = mean_over(first + warped, weight) / 2
    sharper = torch.where(first_is_sharper, first, warped) - mean
    blurrier = torch.where(first_is_sharper, warped, first) - mean
    blurred = [sharper, *(smooth(sharper, sigma) for sigma in SIGMAS_PX)]
    bands = [fine - coarse for fine, coarse in pairwise(blurred)]
    varying = torch.cat([torch.where(first_is_sharper, -1, 1) * gradient(blurrier), *bands, blurred[-1]], dim=1)
    linear = (varying[:, :, None] * affine_basis(first)).flatten(1, 2)  # the first six: dx, then dy
    equation = _without_tone(torch.cat([linear, blurrier - sharper], dim=1), inside).flatten(2)
    columns, difference = equation[:, :-1], equation[:, -1:]

    weighted = columns * weight.flatten(2)
    normal = weighted @ columns.transpose(1, 2)
    right = weighted @ difference.transpose(1, 2)
    variance = robust_scale(difference.view_as(first), weight).square().flatten(1)
    prior = STIFFNESS * variance * columns.new_tensor([1.0, 1.0, 0.0] * 2)
    normal[:, range(6), range(6)] += prior
    right[:, :6, 0] -= prior * parameters.flatten(1)
    # Columns of unit length: the bands differ in strength by orders of magnitude.
    scale = normal.diagonal(dim1=1, dim2=2).clamp_min(1e-12).rsqrt()[..., None]
    damped = scale * normal * scale.transpose(1, 2) + DAMPING * torch.eye(normal.shape[1], device=normal.device)
    solution = scale * torch.linalg.solve(damped, scale * right)

    residual = (difference - solution.transpose(1, 2) @ columns).view_as(first)
    step = solution[:, :6].view(-1, 2, 3).clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
    return step, robust_weight(residual, torch.ones_like(residual))


def _without_tone(maps: Tensor, inside: Tensor | None = None) -> Tensor:
    """``(B, C, H, W)`` less its local mean over the pixels that are ``inside``."""
    if inside is None:
        return maps - smooth(maps, TONE_PX)
    return maps - smooth(maps * inside, TONE_PX) / smooth(inside, TONE_PX).clamp_min(1e-3)
