"""Renders a blurry and a misaligned sharp shot of a layered scene, with ground truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import linear_rgb_to_rgb
from torch import Tensor

from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.data.synthetic.misalignment import Displacement, Misalignment, invert_at
from jdrl_lightning.data.synthetic.regions import Box, coordinates, cut, smooth_size
from jdrl_lightning.data.synthetic.scene import Layer, Plane, draw_scene
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair

__all__ = ["MASTER", "Optics", "render"]

MASTER = 2  # master pixels per frame pixel; both shots are sampled from the master once, so neither is softer
MARGIN_PX = 24  # scene around the frame, px: the displacement and the blur bring its content into the frame

# One independent random stream for each part of a frame: misalignment=none changes nothing else.
SCENE, FOCUS, MISALIGNMENT, PHOTOMETRY, NOISE = range(5)


@dataclass(frozen=True)
class Optics:
    """The camera.

    Attributes:
        blur_px: upper bound of the circle of confusion's radius, frame pixels; each frame draws its own strength.
        gain: largest relative difference in exposure between the shots (aperture and shutter never match exactly).
        white_balance: the same for each colour channel.
        read_noise: signal-independent standard deviation, as a fraction of full scale in linear light.
        shot_noise: variance per unit of linear light; the sharp shot, exposed longer, has a quarter of both variances.
    """

    blur_px: float = 7.0
    gain: float = 0.03
    white_balance: float = 0.01
    read_noise: float = 0.0005
    shot_noise: float = 0.0001

    def __post_init__(self) -> None:
        if not 0 <= self.blur_px < MARGIN_PX:
            raise UserError(f"data.blur_px={self.blur_px} is outside 0 to {MARGIN_PX - 1} px, the margin of the scene")


def render(
    key: Sequence[int],
    photo: Tensor,
    others: Sequence[Tensor],
    size: tuple[int, int],
    optics: Optics,
    misalignment: Misalignment,
    name: str,
) -> Pair:
    """Render one frame; a pure function of its arguments.

    The circle of confusion of a thin lens is affine in inverse depth, hence over each plane. Layers are blurred with
    their coverage and composited back to front in linear light, so that blurred edges are semi-transparent. The sharp
    shot is rendered by inverting the displacement of each layer.

    Args:
        key: seeds, such as (seed, photograph, variant).
        photo: background, ``(3, H, W)`` sRGB in [0, 1], at ``MASTER`` times the frame's resolution.
        others: photographs used as textures of the cut-outs.
        size: (height, width) of the frame, pixels.
        optics: the camera.
        misalignment: ranges of the displacement.
        name: of the pair.

    Returns:
        ``blurry``, ``sharp`` uint8 ``(3, h, w)``; extras ``aligned`` uint8, ``flow`` float32 ``(2, h, w)`` with
        ``warp(sharp, flow) ≈ aligned``, ``coc`` float32 ``(1, h, w)``, radius of the circle of confusion in pixels.
    """

    def stream(which: int) -> np.random.Generator:
        return np.random.default_rng((*key, which))

    frame = Box.centred(size[0] * MASTER, size[1] * MASTER)
    layers = draw_scene(stream(SCENE), photo, others, frame.grown(MARGIN_PX * MASTER), MASTER)

    focusing = stream(FOCUS)
    focus, strength = float(focusing.uniform(0, 1)), float(focusing.uniform(0.5, 1))
    # κ of the thin lens, such that the farthest or nearest possible surface has radius strength × blur_px.
    kappa = strength * optics.blur_px / max(focus, 1 - focus)

    def radius(plane: Plane, x: Tensor, y: Tensor) -> Tensor:
        return (kappa * (plane(x, y) - focus)).abs().clamp_max(optics.blur_px)

    displacement = misalignment.draw(stream(MISALIGNMENT), focus, size)
    blurry = _blend(frame, (_defocused(layer, frame, radius) for layer in layers))
    aligned = _blend(frame, ((layer.rgba, layer.extent) for layer in layers))
    still = misalignment == Misalignment()
    sharp = aligned if still else _blend(frame, (_displaced(layer, frame, displacement) for layer in layers))

    photometry = stream(PHOTOMETRY)
    exposure = 1 + photometry.uniform(-optics.gain, optics.gain)
    balance = torch.tensor(1 + photometry.uniform(-1, 1, size=(3, 1, 1)) * optics.white_balance, dtype=torch.float32)
    noise = stream(NOISE)
    displaced, in_place = (_to_frame(light) * exposure * balance for light in (sharp, aligned))
    shot, reference = _noisy(_to_frame(blurry), noise, optics, 1.0), _noisy(displaced, noise, optics, 0.25)

    x, y = (F.avg_pool2d(at[None], MASTER)[0] for at in coordinates(frame, MASTER))
    flow, coc = torch.zeros(2, *size), torch.zeros(1, *size)
    for layer in layers:
        # Not averaged, which would mix fields across an edge: taken at the master pixel right of and below the centre.
        coverage = cut(layer.rgba[3:], layer.extent, frame)[:, MASTER // 2 :: MASTER, MASTER // 2 :: MASTER]
        seen = coverage > 0.5
        flow = torch.where(seen, displacement(x, y, layer.plane(x, y)), flow)
        coc = torch.where(seen, radius(layer.plane, x, y)[None], coc)
    extras = {"aligned": _eight_bit(in_place), "flow": flow, "coc": coc}
    return Pair(_eight_bit(shot), _eight_bit(reference), name, extras)


def _defocused(layer: Layer, frame: Box, radius: Callable[[Plane, Tensor, Tensor], Tensor]) -> tuple[Tensor, Box]:
    """The layer in the blurry shot, and its extent: the part that reaches the frame, in a fast FFT size."""
    reach = math.ceil(float(radius(layer.plane, *coordinates(frame, MASTER)).max()) * MASTER) + 1
    content = layer.extent.common(frame.grown(reach))
    if content.empty:
        return layer.rgba, layer.extent
    top, left, bottom, right = content.grown(reach)  # zero padding: nothing wraps around into the image
    part = Box(top, left, top + smooth_size(bottom - top), left + smooth_size(right - left))
    # Outside the frame the radius may be larger than anywhere inside; not visible, and it would exceed the padding.
    radii = (radius(layer.plane, *coordinates(part, MASTER)) * MASTER).clamp_max(reach - 1)
    return blur_by_discs(cut(content.of(layer.rgba, layer.extent), content, part), radii), part


def _displaced(layer: Layer, frame: Box, displacement: Displacement) -> tuple[Tensor, Box]:
    """The layer in the sharp shot, and its extent: at ``q`` the content of the blurry shot at ``q + e(q)``."""

    def forward(x: Tensor, y: Tensor) -> Tensor:
        return displacement(x, y, layer.plane(x, y))

    x, y = (at[::8, ::8] for at in coordinates(frame.grown(MARGIN_PX * MASTER), MASTER))
    reach = math.ceil((float(forward(x, y).abs().max()) + 1) * MASTER) + 2
    part = layer.extent.grown(reach).common(frame.grown(min(reach, MARGIN_PX * MASTER)))
    if part.empty:
        return layer.rgba, layer.extent
    pull = invert_at(forward, *coordinates(part, MASTER))
    moved = warp(cut(layer.rgba, layer.extent, part)[None], pull[None] * MASTER, mode="bicubic")[0].clamp_min(0)
    return torch.cat([moved[:3], moved[3:].clamp_max(1)]), part


def _blend(frame: Box, layers: Iterable[tuple[Tensor, Box]]) -> Tensor:
    """Composite premultiplied layers back to front over the frame: ``out = near + (1 − coverage) out``."""
    light = torch.zeros(3, frame.height, frame.width)
    for rgba, extent in layers:
        part = extent.common(frame)
        if part.empty:
            continue
        near, behind = part.of(rgba, extent), part.of(light, frame)
        behind.copy_(near[:3] + (1 - near[3:].clamp(0, 1)) * behind)
    return light


def _to_frame(light: Tensor) -> Tensor:
    """Area-sample the master."""
    return F.avg_pool2d(light[None], MASTER)[0]


def _noisy(light: Tensor, noise: np.random.Generator, optics: Optics, scale: float) -> Tensor:
    """Add shot noise, as a Gaussian of the Poisson variance, and read noise; ``scale`` multiplies both variances."""
    deviation = (scale * (optics.shot_noise * light.clamp_min(0) + optics.read_noise**2)).sqrt()
    return light + deviation * torch.from_numpy(noise.standard_normal(light.shape, dtype=np.float32))


def _eight_bit(light: Tensor) -> Tensor:
    return (linear_rgb_to_rgb(light.clamp(0, 1)) * 255).round().to(torch.uint8)
