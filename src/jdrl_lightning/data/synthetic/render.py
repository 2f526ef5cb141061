"""A blurry and a misaligned sharp shot of one layered scene, and the truth about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.data.synthetic.disc import blur_by_discs
from jdrl_lightning.data.synthetic.misalignment import Displacement, Misalignment, invert_at
from jdrl_lightning.data.synthetic.scene import Layer, draw_scene, srgb
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair

__all__ = ["MASTER", "Optics", "render"]

MASTER = 2  # master pixels a frame pixel: both shots are sampled once from it, so neither is softer
MARGIN_PX = 24  # of the scene around the frame: content enters and leaves by the displacement, discs reach out

# One independent stream for each part of a frame: with misalignment=none all the rest stays the same.
SCENE, FOCUS, MISALIGNMENT, PHOTOMETRY, NOISE = range(5)


@dataclass(frozen=True)
class Optics:
    """The camera.

    Attributes:
        blur_px: largest radius of the circle of confusion, frame pixels; each frame draws its own strength up to it.
        gain: largest relative difference in exposure between the shots (aperture and shutter never match exactly).
        white_balance: the same for each colour.
        read_noise: standard deviation that does not depend on the light, of full scale in linear light.
        shot_noise: variance a unit of linear light; the sharp shot, exposed longer, has a quarter of both.
    """

    blur_px: float = 7.0
    gain: float = 0.03
    white_balance: float = 0.01
    read_noise: float = 0.0005
    shot_noise: float = 0.0001


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
    their coverage and blended far to near in linear light, so that a blurred edge is half transparent and what is
    behind it shows. The displaced shot is made by inverting the displacement for each layer.

    Args:
        key: seeds, such as (seed, photograph, variant).
        photo: background, ``(3, H, W)`` sRGB in [0, 1], ``MASTER`` times as fine as the frame.
        others: photographs for the cut-outs.
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

    height, width = ((side + 2 * MARGIN_PX) * MASTER for side in size)
    y = ((torch.arange(height) + 0.5 - height / 2) / MASTER)[:, None].expand(height, width)
    x = ((torch.arange(width) + 0.5 - width / 2) / MASTER).expand(height, width)
    layers = draw_scene(stream(SCENE), photo, others, x, y, MASTER)

    focusing = stream(FOCUS)
    focus, strength = float(focusing.uniform(0, 1)), float(focusing.uniform(0.5, 1))
    # κ of the thin lens, such that the frame's farthest or nearest possible surface gets strength × blur_px.
    kappa = strength * optics.blur_px / max(focus, 1 - focus)

    def radius(layer: Layer) -> Tensor:
        return (kappa * (layer.plane(x, y) - focus)).abs().clamp_max(optics.blur_px)

    displacement = misalignment.draw(stream(MISALIGNMENT), focus, size)
    blurry = _blend([blur_by_discs(layer.rgba, radius(layer) * MASTER) for layer in layers])
    aligned = _blend([layer.rgba for layer in layers])
    sharp = aligned if misalignment == Misalignment() else _blend([_displaced(layer, displacement, x, y) for layer in layers])

    photometry = stream(PHOTOMETRY)
    exposure = 1 + photometry.uniform(-optics.gain, optics.gain)
    balance = torch.tensor(1 + photometry.uniform(-1, 1, size=(3, 1, 1)) * optics.white_balance, dtype=torch.float32)
    noise = stream(NOISE)
    lit = [_to_frame(light) * factor for light, factor in ((blurry, 1.0), (sharp, exposure * balance), (aligned, exposure * balance))]
    shot, reference = _noisy(lit[0], noise, optics, 1.0), _noisy(lit[1], noise, optics, 0.25)

    flow, coc = torch.zeros(2, height, width), torch.zeros(1, height, width)
    for layer in layers:
        seen = layer.rgba[3:] > 0.5
        flow = torch.where(seen, displacement(x, y, layer.plane(x, y)), flow)
        coc = torch.where(seen, radius(layer)[None], coc)
    extras = {"aligned": _eight_bit(lit[2]), "flow": _nearest(flow), "coc": _nearest(coc)}
    return Pair(_eight_bit(shot), _eight_bit(reference), name, extras)


def _displaced(layer: Layer, displacement: Displacement, x: Tensor, y: Tensor) -> Tensor:
    """The layer as the sharp shot sees it: at ``q`` what the blurry one has at ``q + e(q)``."""
    pull = invert_at(lambda px, py: displacement(px, py, layer.plane(px, py)), x, y)
    moved = warp(layer.rgba[None], pull[None] * MASTER, mode="bicubic")[0].clamp_min(0)
    return torch.cat([moved[:3], moved[3:].clamp_max(1)])


def _blend(layers: Sequence[Tensor]) -> Tensor:
    """Premultiplied layers far to near: ``out = near + (1 − coverage) out``."""
    light = layers[0][:3]
    for layer in layers[1:]:
        light = layer[:3] + (1 - layer[3:].clamp(0, 1)) * light
    return light


def _to_frame(light: Tensor) -> Tensor:
    """Area sampling of the master inside the margins."""
    return F.avg_pool2d(_inside(light)[None], MASTER)[0]


def _nearest(field: Tensor) -> Tensor:
    """A field that must not be averaged over an edge, at the frame's pixels: the master pixel just right and below."""
    return _inside(field)[:, MASTER // 2 :: MASTER, MASTER // 2 :: MASTER].contiguous()


def _inside(image: Tensor) -> Tensor:
    edge = MARGIN_PX * MASTER
    return image[:, edge:-edge, edge:-edge]


def _noisy(light: Tensor, noise: np.random.Generator, optics: Optics, share: float) -> Tensor:
    """Poisson noise, as a Gaussian of the same variance, and read noise."""
    deviation = (share * (optics.shot_noise * light.clamp_min(0) + optics.read_noise**2)).sqrt()
    return light + deviation * torch.from_numpy(noise.standard_normal(light.shape, dtype=np.float32))


def _eight_bit(light: Tensor) -> Tensor:
    return (srgb(light) * 255).round().to(torch.uint8)

