"""The blurry shot: each layer of a scene blurred by its own circle of confusion, blended near to far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from jdrl_lightning.data.synthetic import defocus_cpu
from jdrl_lightning.data.synthetic.compiled import compiled_for
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_kernels, disc_kernel
from jdrl_lightning.data.synthetic.regions import Box, areas, axes, cut, smooth_size
from jdrl_lightning.data.synthetic.scene import Layer, Plane

__all__ = ["defocused"]

SOFT = 2.0  # radius, master pixels, from which on an edge is so wide that blending and averaging may change places

Radius = Callable[[Plane, Tensor, Tensor], Tensor]


def defocused(
    layers: Sequence[Layer], frame: Box, scale: int, radius: Radius, kernel: Callable[[int], Tensor] = disc_kernel
) -> Tensor:
    """What a camera focused somewhere sees, sampled by areas of the frame's pixels: ``(3, h, w)`` linear light.

    Layers are blurred and blended at the frame's resolution. Only where a cut-out is sharp, so that its edge falls
    inside a frame's pixel, all up to it are at the master's.

    Args:
        layers: far to near; the first is opaque and covers whatever is blurred into the frame.
        frame: of the master picture.
        scale: master pixels a frame pixel.
        radius: ``(plane, x, y)`` to the circle of confusion's radius, frame pixels; x and y are broadcast.
        kernel: the aperture's picture at a radius of so many master pixels; see :func:`.blur_by_kernels`.
    """
    light = torch.zeros(3, frame.height // scale, frame.width // scale)
    passing = torch.ones(light.shape[1:])  # what the layers drawn so far, near to far, let through
    for i, layer in reversed(list(enumerate(layers))):
        least, most = _extremes(layer.plane, layer.extent.common(frame), scale, radius)
        if i == 0 or least >= SOFT:
            _under(light, passing, layer, frame, scale, scale, radius, kernel)
            continue
        around = layer.extent.grown(math.ceil(most) + 1).common(frame)
        region = _whole_pixels(around, frame, scale)
        if region.empty:
            continue
        rows, columns = _pixels(region, frame, scale)
        fine = torch.zeros(3, region.height, region.width)
        fine_passing = passing[rows, columns].repeat_interleave(scale, 0).repeat_interleave(scale, 1)
        for behind in reversed(layers[: i + 1]):
            _under(fine, fine_passing, behind, region, scale, 1, radius, kernel)
        light[:, rows, columns] += areas(fine, scale)
        passing[rows, columns] = 0
    return light


def _extremes(plane: Plane, part: Box, scale: int, radius: Radius) -> tuple[float, float]:
    """The least and the largest radius over a part, master pixels; none where it is empty."""
    if part.empty:
        return math.inf, 0.0
    # A radius is the absolute value of something affine: it is largest in a corner, and no step of a grid hides much.
    y, x = (
        torch.linspace(start + 0.5, end - 0.5, 17) / scale
        for start, end in ((part.top, part.bottom), (part.left, part.right))
    )
    radii = radius(plane, x.expand(17, 17), y[:, None].expand(17, 17)) * scale
    return float(radii.min()), float(radii.max())


def _whole_pixels(part: Box, frame: Box, scale: int) -> Box:
    """The smallest box of whole frame pixels around a part of the frame."""
    return Box(*(edge - (edge - origin) % scale for edge, origin in zip(part[:2], frame[:2], strict=True)),
               *(edge + (origin - edge) % scale for edge, origin in zip(part[2:], frame[:2], strict=True)))  # fmt: skip


def _pixels(part: Box, frame: Box, at: int) -> tuple[slice, slice]:
    """Rows and columns of a part of a picture of ``frame`` with pixels of ``at`` master pixels a side."""
    return (
        slice((part.top - frame.top) // at, (part.bottom - frame.top) // at),
        slice((part.left - frame.left) // at, (part.right - frame.left) // at),
    )


def _under(
    light: Tensor,
    passing: Tensor,
    layer: Layer,
    frame: Box,
    scale: int,
    at: int,
    radius: Radius,
    kernel: Callable[[int], Tensor],
) -> None:
    """Blend a layer under those drawn before it, in place.

    Args:
        light: ``(3, h, w)`` of ``frame``, in pixels of ``at`` master pixels a side, 1 or ``scale``.
        passing: ``(h, w)``, the share of the light from behind that passes the layers drawn before.
    """
    most = math.ceil(_extremes(layer.plane, frame, scale, radius)[1])
    reach = max(kernel(most).shape[0] // 2, 1)
    content = layer.extent.common(frame.grown(reach))
    if content.empty:
        return
    seen = _whole_pixels(content.grown(reach).common(frame), frame, at)
    rgba = content.of(layer.rgba, layer.extent)
    opaque = content == frame.grown(reach) and bool(rgba[3].min() == 1)
    # Beyond the frame the plane may be blurred more than anywhere inside: not seen, and there is no room for it.
    radii = (radius(layer.plane, *axes(seen, scale, at)) * scale).clamp_max(most)
    radii = radii.expand(seen.height // at, seen.width // at)
    library = compiled_for(rgba)
    if library is not None:
        defocus_cpu.blend_under(library, light, passing, layer, frame, seen, radii, kernel, at, opaque)
        return
    near = _blurred(rgba[:3] if opaque else rgba, content, frame, seen, reach, radii, kernel, at)
    rows, columns = _pixels(seen, frame, at)
    light[:, rows, columns] += passing[rows, columns] * near[:3]
    passing[rows, columns] *= 0 if opaque else 1 - near[3].clamp(0, 1)


def _blurred(
    image: Tensor,
    content: Box,
    frame: Box,
    seen: Box,
    reach: int,
    radii: Tensor,
    kernel: Callable[[int], Tensor],
    at: int,
) -> Tensor:
    """``(C, h, w)``: what is ``seen`` of a picture of ``content`` with nothing around it."""
    # In steps of the result's pixels from the frame's corner, zeros all round: nothing wraps into the picture.
    top, left = (
        start - reach - (start - reach - origin) % at
        for start, origin in ((content.top, frame.top), (content.left, frame.left))
    )
    height, width = (
        at * smooth_size(-((start - end - reach) // at))
        for start, end in ((top, content.bottom), (left, content.right))
    )
    part = Box(top, left, top + height, left + width)
    first = (seen.top - top) // at, (seen.left - left) // at
    return blur_by_kernels(cut(image, content, part), radii, kernel, at, first)
