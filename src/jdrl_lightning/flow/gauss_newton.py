"""The embedded estimator: a global affine map by Gauss-Newton, then dense Lucas-Kanade around it. Nothing to train."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.flow.affine import affine_basis, affine_field
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.blur_match import match_blur
from jdrl_lightning.flow.filters import gradient, mean_over, robust_scale, robust_weight, smooth
from jdrl_lightning.flow.warp import in_frame, warp

__all__ = [
    "GaussNewton",
    "affine_field",
    "affine_motion",
    "affine_step",
    "dense_motion",
    "grey",
    "lucas_kanade",
    "pyramid",
    "smooth",
]

LEVELS = 4
SMALLEST_PX = 12  # of the coarsest level's shorter side
AFFINE_STEPS, DENSE_STEPS, DENSE_LEVELS = 6, 3, 2
WINDOW_PX = 18.0  # σ of Lucas-Kanade's window
POOL = 4  # the window is so wide that its sums are smoothed at a quarter of the resolution
# From a start near by: what a wide window smooths over, as parallax, is found by a narrower one.
REFINING_STEPS, REFINING_WINDOW_PX = 2, 12.0
PRESMOOTH_PX = 1.5
BLUR_PX = 2.0  # σ of the further blur that the dense stage allows for
PULL = 0.02  # towards the global motion, as a share of the mean texture
LARGEST_STEP_PX = 2.0
LARGEST_SHARE = 0.25  # of the shorter side: longer flow is nonsense


class GaussNewton(FlowEstimator):
    """Smooth flow between two views of a scene that may differ in blur and brightness.

    Args:
        dense: False stops after the global affine map: registration.
    """

    def __init__(self, dense: bool = True) -> None:
        self.dense = self.uses_start = dense

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow with ``warp(second, flow) ≈ first``; every sample for itself, in fixed numbers of steps."""
        ours, theirs = (pyramid(grey(image)) for image in (first, second))
        start = affine_motion(ours, theirs)
        registered, ours, theirs = match_blur(ours, theirs, start)
        # Where there is no texture the dense flow follows the affine one, and the plain estimate extrapolates better.
        flow = dense_motion(ours, theirs, start) if self.dense else affine_field(registered, ours[0])
        limit = LARGEST_SHARE * min(first.shape[-2:])
        return flow.clamp(-limit, limit)

    def estimate_from(self, first: Tensor, second: Tensor, start: Tensor) -> Tensor:
        """Lucas-Kanade around ``start`` at half resolution, in a narrower window: both images are sharp by now."""
        level, scale = 1, 2
        if min(first.shape[-2:]) < scale * SMALLEST_PX:
            return self.estimate(first, second)
        ours, theirs = (pyramid(grey(image), level + 1)[level] for image in (first, second))
        near = F.interpolate(start, ours.shape[-2:], mode="area") / scale
        flow = lucas_kanade(ours, theirs, near, near, REFINING_STEPS, REFINING_WINDOW_PX / scale)
        limit = LARGEST_SHARE * min(first.shape[-2:])
        return F.interpolate(scale * flow, first.shape[-2:], mode="bilinear").clamp(-limit, limit)


def grey(image: Tensor, sigma_px: float = PRESMOOTH_PX) -> Tensor:
    """BT.601 luminance of ``(B, 3, H, W)`` RGB, smoothed by a Gaussian: ``(B, 1, H, W)``."""
    return smooth(rgb_to_grayscale(image), sigma_px)


def pyramid(image: Tensor, count: int = LEVELS) -> list[Tensor]:
    """``image`` and halvings of it, fine to coarse: at most ``count`` in all."""
    levels = [image]
    while len(levels) < count and min(levels[-1].shape[-2:]) >= 2 * SMALLEST_PX:
        levels.append(F.avg_pool2d(smooth(levels[-1], 0.8), 2, ceil_mode=True))
    return levels


def affine_motion(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Affine displacement ``(B, 2, 3)``, in full-resolution pixels over coordinates from −1 to 1.

    Coarse to half resolution. The mean difference in brightness does not count, and outliers count little, but at the
    coarsest level: before the images are roughly in place, every edge looks like an outlier. A result that fits worse
    than no motion at all is dropped.
    """
    parameters = ours[0].new_zeros(len(ours[0]), 2, 3)
    finest = min(1, len(ours) - 1)
    for level in range(len(ours) - 1, finest - 1, -1):
        first, second = ours[level], theirs[level]
        for _ in range(AFFINE_STEPS):
            flow = affine_field(parameters / 2**level, first)
            step = affine_step(first, warp(second, flow), in_frame(flow), robust=level < len(ours) - 1)
            parameters = parameters + 2**level * step
    flow = affine_field(parameters / 2**finest, ours[finest])
    better = _misfit(ours[finest], theirs[finest], flow) < _misfit(ours[finest], theirs[finest], torch.zeros_like(flow))
    return parameters * better.view(-1, 1, 1)


def affine_step(first: Tensor, warped: Tensor, valid: Tensor, robust: bool) -> Tensor:
    """One Gauss-Newton step ``(B, 2, 3)``, in pixels of these images, towards ``warped ≈ first``.

    Brightness and contrast may differ: the residual has its mean over the ``valid`` pixels removed, and a gain is a
    seventh unknown. The gradient is the mean of both images'. ``robust``: pixels with a large residual count little.
    """
    residual = _centred(first, valid) - _centred(warped, valid)
    weight = robust_weight(residual, valid) if robust else valid
    slope = (gradient(first) + gradient(warped)) / 2
    columns = (slope.flatten(2)[:, :, None] * affine_basis(first).flatten(1)).flatten(1, 2)  # all of dx, then all of dy
    columns = torch.cat([columns, _centred(warped, valid).flatten(2)], dim=1)
    weighted = columns * weight.flatten(2)
    step = _solve(weighted @ columns.transpose(1, 2), weighted @ residual.flatten(2).transpose(1, 2))
    return step[:, :6].view(-1, 2, 3)


def dense_motion(ours: list[Tensor], theirs: list[Tensor], parameters: Tensor) -> Tensor:
    """Lucas-Kanade around the affine motion at half and full resolution: ``(B, 2, H, W)``."""
    flow: Tensor | None = None
    for level in range(min(DENSE_LEVELS, len(ours)) - 1, -1, -1):
        first, second = ours[level], theirs[level]
        prior = affine_field(parameters / 2**level, first)
        flow = prior if flow is None else 2 * F.interpolate(flow, first.shape[-2:], mode="bilinear")
        flow = lucas_kanade(first, second, flow, prior, DENSE_STEPS, WINDOW_PX)
    assert flow is not None
    return flow


def lucas_kanade(first: Tensor, second: Tensor, flow: Tensor, prior: Tensor, steps: int, window_px: float) -> Tensor:
    """``flow`` after some steps, ``(B, 2, H, W)``, px of these images.

    Each step solves, in a Gaussian window around each pixel, ``Σ w (J δ + a D − r)² + μ |u + δ − prior|²`` with the
    residual's local mean removed and ``μ = 0.02 ×`` the mean texture. ``D``, what a further blur would change, takes up
    what is left of the difference in blur: an edge blurred alike on both sides has not moved.

    Args:
        first: grey, ``(B, 1, H, W)``.
        second: same shape; ``warp(second, flow) ≈ first``.
        flow: where to start.
        prior: the flow where there is no texture.
        steps: how many.
        window_px: σ of the window.
    """
    own_gradient = gradient(first)
    for _ in range(steps):
        warped, valid = warp(second, flow), in_frame(flow)
        difference = first - warped
        total, share = _window(torch.cat([difference * valid, valid], dim=1), first, window_px).split(1, dim=1)
        residual = difference - total / share.clamp_min(1e-3)
        weight = valid / (1 + (residual / (3 * robust_scale(residual, valid))).square())
        gx, gy = ((own_gradient + gradient(warped)) / 2).split(1, dim=1)
        middle = (first + warped) / 2
        blur = smooth(middle, BLUR_PX) - middle
        maps = _products(weight, [(gx, (gx, gy, residual, blur)), (gy, (gy, residual, blur)), (blur, (residual, blur))])
        xx, xy, xr, xb, yy, yr, yb, br, bb = _pooled_window(maps, window_px).split(1, dim=1)
        pull = PULL * (xx + yy).mean(dim=(2, 3), keepdim=True) + 1e-9
        bb = bb + PULL * bb.mean(dim=(2, 3), keepdim=True) + 1e-9
        xx, xy, yy = xx - xb * xb / bb, xy - xb * yb / bb, yy - yb * yb / bb
        xr, yr = xr - xb * br / bb, yr - yb * br / bb
        away = F.interpolate(prior - flow, xx.shape[-2:], mode="area")
        bx, by = xr + pull * away[:, :1], yr + pull * away[:, 1:]
        axx, ayy = xx + pull, yy + pull
        determinant = axx * ayy - xy * xy
        step = torch.cat([ayy * bx - xy * by, axx * by - xy * bx], dim=1) / determinant
        step = step.clamp(-LARGEST_STEP_PX, LARGEST_STEP_PX)
        flow = flow + F.interpolate(step, first.shape[-2:], mode="bilinear")
    return smooth(flow, 1.0)


def _products(weight: Tensor, factors: list[tuple[Tensor, tuple[Tensor, ...]]]) -> Tensor:
    """``weight · a · b`` for each ``a`` with each of its ``b``, one channel after the other."""
    batch, _, height, width = weight.shape
    products = weight.new_empty(batch, sum(len(others) for _, others in factors), height, width)
    channels = iter(products.split(1, dim=1))
    for one, others in factors:
        weighted = weight * one
        for other in others:
            torch.mul(weighted, other, out=next(channels))
    return products


def _pooled_window(maps: Tensor, window_px: float) -> Tensor:
    """Means over the Gaussian window, at a half or a quarter of the resolution."""
    pool = POOL if window_px >= 2 * POOL else POOL // 2
    pooled = F.avg_pool2d(maps, pool, ceil_mode=True, count_include_pad=False)
    return smooth(pooled, math.sqrt(window_px**2 - (pool**2 - 1) / 12) / pool)


def _window(maps: Tensor, like: Tensor, window_px: float) -> Tensor:
    return F.interpolate(_pooled_window(maps, window_px), like.shape[-2:], mode="bilinear")


def _centred(image: Tensor, valid: Tensor) -> Tensor:
    return image - mean_over(image, valid)


def _misfit(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """Mean absolute residual over the pixels that have a partner, ``(B,)``; infinite if fewer than a quarter have."""
    valid = in_frame(flow)
    residual = (_centred(first, valid) - _centred(warp(second, flow), valid)).abs()
    return torch.where(valid.mean(dim=(1, 2, 3)) >= 0.25, mean_over(residual, valid).flatten(), math.inf)


def _solve(normal: Tensor, right: Tensor) -> Tensor:
    """``(normal + damping) x = right`` for a batch; the damping is relative, and keeps textureless images solvable."""
    size = normal.diagonal(dim1=1, dim2=2)
    damping = 1e-4 * size + 1e-6 * size.mean(dim=1, keepdim=True) + 1e-6  # rounding errors are no texture
    solved, _ = torch.linalg.solve_ex(normal + torch.diag_embed(damping), right)  # the plain form waits for the device
    return solved
