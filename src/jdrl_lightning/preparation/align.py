"""Pairs registered once, each by one affine motion of the whole image, and cropped to the frame both show."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.data.augment import crop
from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.registration import affine_flow, fit_affine
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.affine import similarity
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.io.image import read_picture, write_image
from jdrl_lightning.io.written import written_suffix
from jdrl_lightning.metrics.misalignment import ALIGNED_PX, ALIKE, Motion, motion, scene_likeness
from jdrl_lightning.preparation.write_pairs import FOLDERS, clear_pictures
from jdrl_lightning.types import Pair, to_float, to_uint

__all__ = ["Alignment", "Frame", "align", "align_files", "common_frame"]

TOLERANCE_PX = 0.1  # two estimates of the same misalignment differ by up to this much


class Frame(NamedTuple):
    """A rectangle of an image, px."""

    top: int
    left: int
    height: int
    width: int


class Alignment(NamedTuple):
    """The result of registering a pair.

    Attributes:
        name: the pair's.
        before_px, after_px: mean length of the estimated flow between its images, px.
        dx_px, dy_px: how far the sharp image's centre was from the blurry one's, px.
        zoom_percent, rotation_deg: of the sharp image relative to the blurry one.
        frame: what both images show, in coordinates of the blurry one.
        problem: why the pair could not be registered; empty if it was.
    """

    name: str
    before_px: float
    after_px: float
    dx_px: float
    dy_px: float
    zoom_percent: float
    rotation_deg: float
    frame: Frame
    problem: str


def align(pair: Pair) -> tuple[Pair, Alignment]:
    """A single sample in the common frame, its sharp image aligned with the blurry one, and the result.

    The motion is the affine stage of the embedded estimator, the warp bicubic; no pixel is extrapolated.

    Args:
        pair: images ``(3, H, W)``, ``uint8`` or ``uint16``, on any device; without extras.
    """
    blurry, sharp = (to_float(image)[None] for image in (pair.blurry, pair.sharp))
    found = fit_affine(GaussNewton(dense=False)(blurry, sharp))
    flow = affine_flow(found, *blurry.shape[-2:])
    frame = common_frame(flow)
    moved = to_uint(warp(sharp, flow, mode="bicubic")[0], 8 * pair.sharp.element_size())
    aligned = crop(Pair(pair.blurry, moved, pair.name, {}), *frame)
    before, after = (motion(one, GaussNewton(), one.blurry.device) for one in (pair, aligned))
    alike = scene_likeness(*(to_float(image)[None] for image in (aligned.blurry, aligned.sharp)))
    fit = similarity(flow)
    return aligned, Alignment(
        name=str(pair.name),
        before_px=float(before.length_px.mean()),
        after_px=float(after.length_px.mean()),
        dx_px=float(fit.dx),
        dy_px=float(fit.dy),
        zoom_percent=100 * float(fit.zoom),
        rotation_deg=math.degrees(float(fit.rotation)),
        frame=frame,
        problem=_problem(before, after, alike, moved_at_all=bool(found.any())),
    )


def common_frame(flow: Tensor) -> Frame:
    """A rectangle in which a bicubic warp by ``flow`` ``(1, 2, H, W)``, px, reads nothing outside the image.

    Found by removing, one at a time, the edge row or column with the largest share of pixels that would: for motions
    near the identity hardly smaller than the largest such rectangle.
    """
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = flow[0].cpu() + torch.stack([x, y])
    limit = torch.tensor([width - 2, height - 2]).view(2, 1, 1)  # the cubic reads one pixel more on each side
    outside = ~((places >= 1) & (places <= limit)).all(dim=0).numpy()
    top, left, bottom, right = 0, 0, height, width
    while top < bottom and left < right:
        rows, columns = slice(top, bottom), slice(left, right)
        edges = outside[top, columns], outside[bottom - 1, columns], outside[rows, left], outside[rows, right - 1]
        shares = [edge.mean() for edge in edges]
        worst = max(range(4), key=shares.__getitem__)
        if shares[worst] == 0:
            break
        top, bottom = top + (worst == 0), bottom - (worst == 1)
        left, right = left + (worst == 2), right - (worst == 3)
    return Frame(top, left, bottom - top, right - left)


def align_files(
    places: Sequence[PairPaths],
    folder: Path,
    device: torch.device,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Alignment]:
    """Register the pairs at ``places`` into ``folder/{blur,gt}``, with the files' own bit depth and format.

    A pair that cannot be registered is not written. Both files get the blurry one's name.

    Args:
        places: paths of the pairs.
        folder: of one split.
        device: to compute on.
        overwrite: replace existing images.
        progress: called with (pairs done, all pairs).

    Raises:
        UserError: images exist, two pairs have the same name, or a file cannot be read.
    """
    twice = len(places) - len({place.name for place in places})
    if twice:
        raise UserError(f"{places[0].blurry.parent}: {twice} duplicate names; rename the blurry files")
    clear_pictures(folder, overwrite)
    alignments = []
    for number, place in enumerate(places, start=1):
        if place.sharp is None:
            raise UserError(f"{place.blurry}: has no sharp partner to register; give a data set of pairs")
        paths = place.blurry, place.sharp
        pictures = [read_picture(path) for path in paths]
        blurry, sharp = (picture.image.to(device) for picture in pictures)
        aligned, found = align(Pair(blurry, sharp, place.name, {}))
        for kind, path, picture, image in zip(FOLDERS, paths, pictures, aligned[:2], strict=True):
            if not found.problem:
                out = folder / kind / (place.name + written_suffix(path))
                write_image(out, image.cpu(), grey=picture.grey, icc=picture.icc, metadata=picture.metadata)
        alignments.append(found)
        if progress is not None:
            progress(number, len(places))
    return alignments


def _problem(before: Motion, after: Motion, alike: float, moved_at_all: bool) -> str:
    before_px, after_px = float(before.length_px.mean()), float(after.length_px.mean())
    if alike < ALIKE:
        return "too far apart, or hardly the same scene"
    if after_px > before_px + TOLERANCE_PX:
        return "worse than before"
    if after.far:
        return "still far apart"
    if after_px > ALIGNED_PX and not moved_at_all:
        return "no motion fits better than none"
    return ""
