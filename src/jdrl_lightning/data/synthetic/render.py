"""A blurry and a misaligned sharp shot of one layered scene, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from kornia.color import linear_rgb_to_rgb
from torch import Tensor

from jdrl_lightning.data.synthetic.camera import MARGIN_PX, Optics
from jdrl_lightning.data.synthetic.defocus import defocused
from jdrl_lightning.data.synthetic.displace import displaced
from jdrl_lightning.data.synthetic.misalignment import Misalignment
from jdrl_lightning.data.synthetic.regions import Box, areas, axes, cut
from jdrl_lightning.data.synthetic.scene import Plane, draw_scene
from jdrl_lightning.types import Pair

__all__ = ["MASTER", "Optics", "render"]

MASTER = 2  # master pixels a frame pixel: both shots are sampled once from it, so neither is softer

# One independent stream for each part of a frame: with misalignment=none all the rest stays the same.
SCENE, FOCUS, MISALIGNMENT, PHOTOMETRY, NOISE, CAMERA = range(6)


def render(
    key: Sequence[int],
    photo: Tensor,
    others: Sequence[Tensor],
    size: tuple[int, int],
    optics: Optics,
    misalignment: Misalignment,
    name: str,
) -> Pair:
    """Render one frame; a pure function of its arguments, on the current default device, which holds the photographs.

    The circle of confusion of a thin lens is affine in inverse depth, hence over each plane. Layers are blurred with
    their coverage and blended far to near in linear light, so that a blurred edge is half transparent and what is
    behind it shows. The displaced shot is made by inverting the displacement for each layer.

    Args:
        key: seeds, such as (seed, photograph, variant).
        photo: background, ``(3, H, W)`` linear light, ``MASTER`` times as fine as the frame.
        others: photographs for the cut-outs, likewise.
        size: (height, width) of the frame, pixels.
        optics: the camera.
        misalignment: ranges of the displacement.
        name: of the pair.

    Returns:
        ``blurry``, ``sharp`` uint8 ``(3, h, w)``; extras ``aligned`` uint8, ``flow`` float32 ``(2, h, w)`` with
        ``warp(sharp, flow) ≈ aligned``, ``coc`` float32 ``(1, h, w)``, the circle of confusion's radius in pixels.
    """

    def stream(which: int) -> np.random.Generator:
        return np.random.default_rng((*key, which))

    frame = Box.centred(size[0] * MASTER, size[1] * MASTER)
    layers = draw_scene(stream(SCENE), photo, others, frame.grown(MARGIN_PX * MASTER), MASTER)

    focusing = stream(FOCUS)
    focus, strength = float(focusing.uniform(0, 1)), float(focusing.uniform(optics.weakest, 1))
    camera = optics.draw(stream(CAMERA))
    strength = 0.0 if camera.in_focus else strength
    # κ of the thin lens, such that the frame's farthest or nearest possible surface gets strength × blur_px.
    kappa = strength * optics.blur_px / max(focus, 1 - focus)

    def radius(plane: Plane, x: Tensor, y: Tensor) -> Tensor:
        return (kappa * (plane(x, y) - focus)).abs().clamp_max(optics.blur_px)

    aligned = _to_frame(_blend(frame, ((layer.rgba, layer.extent) for layer in layers)))
    still = misalignment == Misalignment()
    displacement = misalignment.draw(stream(MISALIGNMENT), focus, size)
    sharp = aligned if still else displaced(layers, frame, MARGIN_PX * MASTER, MASTER, displacement)
    blurry = defocused(layers, frame, MASTER, radius, camera.kernel)

    photometry = stream(PHOTOMETRY)
    exposure = 1 + photometry.uniform(-optics.gain, optics.gain)
    balance = torch.tensor(1 + photometry.uniform(-1, 1, size=(3, 1, 1)) * optics.white_balance, dtype=torch.float32)
    noise = stream(NOISE)
    moved, in_place = (light * exposure * balance for light in (sharp, aligned))
    shot, reference = camera.take(blurry, noise, 1.0), camera.take(moved, noise, 0.25)

    x, y = axes(frame, MASTER, MASTER)
    flow, coc = torch.zeros(2, *size), torch.zeros(1, *size)
    for layer in layers:
        part = layer.extent.common(frame)
        if part.empty:
            continue
        rows, columns = (
            slice((start - origin) // MASTER, -((origin - end) // MASTER))
            for start, end, origin in ((part.top, part.bottom, frame.top), (part.left, part.right, frame.left))
        )
        # Fields that must not be averaged over an edge: at the master pixel just right of and below the pixel's centre.
        seen = (
            cut(layer.rgba[3:], layer.extent, frame)[:, MASTER // 2 :: MASTER, MASTER // 2 :: MASTER][:, rows, columns]
            > 0.5
        )
        here = x[:, columns], y[rows]
        for field, value in ((flow, displacement(*here, layer.plane(*here))), (coc, radius(layer.plane, *here)[None])):
            field[:, rows, columns] = torch.where(seen, value, field[:, rows, columns])
    extras = {"aligned": _eight_bit(in_place), "flow": flow, "coc": coc}
    return Pair(shot, reference, name, extras)


def _blend(frame: Box, layers: Iterable[tuple[Tensor, Box]]) -> Tensor:
    """Premultiplied layers far to near, over the frame: ``out = near + (1 − coverage) out``."""
    light = torch.zeros(3, frame.height, frame.width)
    for rgba, extent in layers:
        part = extent.common(frame)
        if part.empty:
            continue
        near, behind = part.of(rgba, extent), part.of(light, frame)
        behind.mul_(1 - near[3:].clamp(0, 1)).add_(near[:3])
    return light


def _to_frame(light: Tensor) -> Tensor:
    """Area sampling of the master."""
    return areas(light, MASTER)


def _eight_bit(light: Tensor) -> Tensor:
    return (linear_rgb_to_rgb(light.clamp(0, 1)) * 255).round().to(torch.uint8)
