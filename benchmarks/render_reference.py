"""The renderer in its plainest form, each layer at the master's resolution: the reference for ours."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import linear_rgb_to_rgb, rgb_to_linear_rgb
from torch import Tensor

from jdrl_lightning.data.synthetic.camera import MARGIN_PX, Optics
from jdrl_lightning.data.synthetic.dataset import SOFTNESS_PX
from jdrl_lightning.data.synthetic.defocus_psf import disc
from jdrl_lightning.data.synthetic.misalignment import Displacement, Misalignment, invert_at
from jdrl_lightning.data.synthetic.photographs import Photograph
from jdrl_lightning.data.synthetic.regions import Box, coordinates, cut, smooth_size
from jdrl_lightning.data.synthetic.render import FOCUS, MASTER, MISALIGNMENT, NOISE, PHOTOMETRY, SCENE
from jdrl_lightning.data.synthetic.scene import Layer, Plane
from jdrl_lightning.flow.gauss_newton import smooth
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.types import Pair

__all__ = ["Pixels", "render"]


class Pixels(Sequence[Tensor]):
    """Photographs in sRGB; the last twelve used are kept."""

    def __init__(self, photographs: Sequence[Photograph]) -> None:
        self.photographs = photographs
        self.kept: OrderedDict[int, Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self.photographs)

    def __getitem__(self, which: int) -> Tensor:  # type: ignore[override]
        if which not in self.kept:
            self.kept[which] = smooth(self.photographs[which].load()[None], SOFTNESS_PX)[0]
        self.kept.move_to_end(which)
        if len(self.kept) > 12:
            self.kept.popitem(last=False)
        return self.kept[which]


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

    frame = Box.centred(size[0] * MASTER, size[1] * MASTER)
    layers = draw_scene(stream(SCENE), photo, others, frame.grown(MARGIN_PX * MASTER), MASTER)

    focusing = stream(FOCUS)
    focus, strength = float(focusing.uniform(0, 1)), float(focusing.uniform(0.5, 1))
    # κ of the thin lens, such that the frame's farthest or nearest possible surface gets strength × blur_px.
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
        # Fields that must not be averaged over an edge: at the master pixel just right of and below the pixel's centre.
        coverage = cut(layer.rgba[3:], layer.extent, frame)[:, MASTER // 2 :: MASTER, MASTER // 2 :: MASTER]
        seen = coverage > 0.5
        flow = torch.where(seen, displacement(x, y, layer.plane(x, y)), flow)
        coc = torch.where(seen, radius(layer.plane, x, y)[None], coc)
    extras = {"aligned": _eight_bit(in_place), "flow": flow, "coc": coc}
    return Pair(_eight_bit(shot), _eight_bit(reference), name, extras)


def _defocused(layer: Layer, frame: Box, radius: Callable[[Plane, Tensor, Tensor], Tensor]) -> tuple[Tensor, Box]:
    """The layer as the blurry shot sees it, and where: what reaches the frame, in a size that the FFT likes."""
    reach = math.ceil(float(radius(layer.plane, *coordinates(frame, MASTER)).max()) * MASTER) + 1
    content = layer.extent.common(frame.grown(reach))
    if content.empty:
        return layer.rgba, layer.extent
    top, left, bottom, right = content.grown(reach)  # zeros all round: nothing wraps into the picture
    part = Box(top, left, top + smooth_size(bottom - top), left + smooth_size(right - left))
    # Beyond the frame the plane may be blurred more than anywhere inside: invisible, and outside the margin.
    radii = (radius(layer.plane, *coordinates(part, MASTER)) * MASTER).clamp_max(reach - 1)
    return blur_by_discs(cut(content.of(layer.rgba, layer.extent), content, part), radii), part


def _displaced(layer: Layer, frame: Box, displacement: Displacement) -> tuple[Tensor, Box]:
    """The layer as the sharp shot sees it, and where: at ``q`` what the blurry one has at ``q + e(q)``."""

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
    """Premultiplied layers far to near, over the frame: ``out = near + (1 − coverage) out``."""
    light = torch.zeros(3, frame.height, frame.width)
    for rgba, extent in layers:
        part = extent.common(frame)
        if part.empty:
            continue
        near, behind = part.of(rgba, extent), part.of(light, frame)
        behind.copy_(near[:3] + (1 - near[3:].clamp(0, 1)) * behind)
    return light


def _to_frame(light: Tensor) -> Tensor:
    """Area sampling of the master."""
    return F.avg_pool2d(light[None], MASTER)[0]


def _noisy(light: Tensor, noise: np.random.Generator, optics: Optics, share: float) -> Tensor:
    """Poisson noise, as a Gaussian of the same variance, and read noise."""
    deviation = (share * (optics.shot_noise * light.clamp_min(0) + optics.read_noise**2)).sqrt()
    return light + deviation * torch.from_numpy(noise.standard_normal(light.shape, dtype=np.float32))


def _eight_bit(light: Tensor) -> Tensor:
    return (linear_rgb_to_rgb(light.clamp(0, 1)) * 255).round().to(torch.uint8)


def blur_by_discs(image: Tensor, radius: Tensor) -> Tensor:
    """Gather each pixel of ``image`` from a disc of its own radius.

    Radii a pixel apart are computed by FFT and blended linearly in between. The picture wraps around its edges: leave a
    margin as wide as the largest radius.

    Args:
        image: ``(C, H, W)``, linear light, premultiplied by its coverage if it has any.
        radius: ``(H, W)``, pixels, not negative.

    Returns:
        ``(C, H, W)``.
    """
    height, width = image.shape[-2:]
    lowest, highest = math.floor(float(radius.min())), math.ceil(float(radius.max()))
    spectrum = torch.fft.rfft2(image)
    blurred = torch.zeros_like(image)
    for step in range(lowest, highest + 1):
        share = (1 - (radius - step).abs()).clamp_min(0)
        if step == 0:
            level = image
        else:
            kernel = torch.zeros(height, width, dtype=torch.float64)
            size = 2 * step + 3
            kernel[:size, :size] = disc(step, size)
            kernel = kernel.roll((-(size // 2), -(size // 2)), dims=(0, 1)).to(image.dtype)
            level = torch.fft.irfft2(spectrum * torch.fft.rfft2(kernel), s=(height, width))
        blurred += share * level
    return blurred


def canvas(photo: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """A part of ``photo`` ``(3, H, W)`` that may reach beyond it: the photograph continues mirrored."""
    rows, columns = (
        _mirror(torch.arange(start, start + length), size)
        for start, length, size in ((top, height, photo.shape[1]), (left, width, photo.shape[2]))
    )
    return photo[:, rows][:, :, columns]


def _mirror(index: Tensor, size: int) -> Tensor:
    index = index % (2 * size)
    return torch.where(index < size, index, 2 * size - 1 - index)


def draw_scene(
    rng: np.random.Generator, photo: Tensor, others: Sequence[Tensor], extent: Box, scale: int
) -> list[Layer]:
    """Background and one to three nearer cut-outs, far to near.

    Args:
        rng: every choice comes from it.
        photo: the background, ``(3, H, W)`` sRGB in [0, 1], at the master's resolution.
        others: photographs that the cut-outs are made of.
        extent: of the master picture.
        scale: master pixels a frame pixel.
    """
    height, width = extent.height, extent.width
    x, y = coordinates(extent, scale)
    reach_x, reach_y = float(x.max()), float(y.max())
    photo = photo.flip(2) if rng.random() < 0.5 else photo
    # The margin around the frame may lie beyond the photograph, an eighth of the whole at most.
    top = _anywhere(rng, -(height // 8), photo.shape[1] - height * 7 // 8)
    left = _anywhere(rng, -(width // 8), photo.shape[2] - width * 7 // 8)
    ones = torch.ones(1, height, width)
    tilt = rng.uniform(-0.15, 0.15, size=2)
    background = Plane(float(rng.uniform(0.05, 0.35)), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
    layers = [Layer(torch.cat([rgb_to_linear_rgb(canvas(photo, top, left, height, width)), ones]), extent, background)]
    levels = np.sort(rng.uniform(0.4, 1.0, size=int(rng.integers(1, 4))))
    for level in levels:
        texture = others[int(rng.integers(len(others)))]
        texture = texture.flip(2) if rng.random() < 0.5 else texture
        coverage = cut_out(rng, x, y, reach_x, reach_y, scale)
        tilt = rng.uniform(-0.08, 0.08, size=2)
        plane = Plane(float(level), (float(tilt[0] / reach_x), float(tilt[1] / reach_y)))
        rows, columns = (coverage.amax(dim).nonzero().flatten() for dim in (1, 0))
        if len(rows) == 0:  # it lies wholly beyond the margin
            continue
        first, last = (int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)
        part = Box(extent.top + first[0], extent.left + first[1], extent.top + last[0], extent.left + last[1])
        top, left = _anywhere(rng, 0, texture.shape[1] - part.height), _anywhere(rng, 0, texture.shape[2] - part.width)
        colour = rgb_to_linear_rgb(canvas(texture, top, left, part.height, part.width))
        coverage = part.of(coverage, extent)[None]
        layers.append(Layer(torch.cat([colour * coverage, coverage]), part, plane))
    return layers


def _anywhere(rng: np.random.Generator, least: int, end: int) -> int:
    return int(rng.integers(least, max(least + 1, end)))


def cut_out(rng: np.random.Generator, x: Tensor, y: Tensor, reach_x: float, reach_y: float, scale: int) -> Tensor:
    """Coverage ``(H, W)`` of a blob, a polygon or a bar, its edge one master pixel soft."""
    reach = min(reach_x, reach_y)
    kind = rng.choice(["blob", "polygon", "bar"], p=[0.5, 0.3, 0.2])
    dx, dy = x - float(rng.uniform(-0.8, 0.8)) * reach_x, y - float(rng.uniform(-0.8, 0.8)) * reach_y
    turn = float(rng.uniform(0, 2 * math.pi))
    along, across = math.cos(turn) * dx + math.sin(turn) * dy, -math.sin(turn) * dx + math.cos(turn) * dy
    if kind == "bar":
        inside = float(rng.uniform(0.06, 0.15)) * reach - across.abs()
    elif kind == "polygon":
        sides, radius = int(rng.integers(3, 7)), float(rng.uniform(0.25, 0.5)) * reach
        angles = 2 * math.pi * np.arange(sides) / sides
        edges = [math.cos(a) * along + math.sin(a) * across for a in angles]
        inside = radius - torch.stack(edges).amax(0)
    else:
        distance, angle = torch.hypot(along, 1.4 * across), torch.atan2(across, along)
        edge = torch.full_like(distance, float(rng.uniform(0.25, 0.55)) * reach)
        for order in (2, 3, 5):
            edge = edge * (1 + float(rng.uniform(0, 0.18)) * torch.cos(order * angle + float(rng.uniform(0, 6.3))))
        inside = edge - distance
    return (inside * scale + 0.5).clamp(0, 1)
