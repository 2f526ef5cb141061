"""Patches of large pairs without the least sharp of each image, as DPDNet was trained on.

Source: Abuolaim and Brown, Defocus Deblurring Using Dual-Pixel Data, ECCV 2020. Its published code duplicates the last
row or column of patches when the stride divides the image evenly; here patches are unique.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.augment import crop
from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.preparation.write_pairs import clear_pictures, write_pair
from jdrl_lightning.types import Pair, to_float

__all__ = ["PRESETS", "Rule", "checked", "corners", "cut", "kept", "sharpness", "training_rule", "write_patches"]

SOBEL_SIZES = (3, 7, 11, 15)
SMALLEST_PX = 16  # the largest Sobel kernel must fit


class Rule(NamedTuple):
    """How an image is cut into patches.

    Attributes:
        patch: side, px.
        overlap: fraction of the side shared by neighbours, in [0, 1); the last of a row or column overlaps more.
        discard: fraction of an image's patches to drop, least sharp first, in [0, 1); rounded down to whole patches.
    """

    patch: int = 512
    overlap: float = 0.6
    discard: float = 0.3


# dpdnet keeps 20 of 28 patches at DPDD's 1680×1120. The published SDD has 42 patches per image, which the other two
# keep out of 60: at half size (2048×1080) and at full size (4096×2160).
PRESETS = {"dpdnet": Rule(), "sdd_half": Rule(overlap=0.7), "sdd_native": Rule(overlap=0.2)}


def training_rule(name: str, patch: int = 512, overlap: float | None = None, discard: float | None = None) -> Rule:
    """The rule ``dpdnet``, ``sdd_half`` or ``sdd_native``, with overlap and discard replaced if given.

    Raises:
        UserError: an unknown name, or a value out of range.
    """
    check_choice("preset", name, PRESETS)
    known = PRESETS[name]
    return checked(
        Rule(patch, known.overlap if overlap is None else overlap, known.discard if discard is None else discard)
    )


def checked(rule: Rule) -> Rule:
    """Validate a rule and return it.

    Raises:
        UserError: a value out of range.
    """
    if not isinstance(rule.patch, int) or rule.patch < SMALLEST_PX:
        raise UserError(f"patch={rule.patch}: must be a whole number of at least {SMALLEST_PX} px")
    for name in ("overlap", "discard"):
        value = getattr(rule, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise UserError(f"{name}={value}: must lie in [0, 1)")
    return rule


def corners(height: int, width: int, rule: Rule) -> list[tuple[int, int]]:
    """(top, left) of every candidate patch, px, row by row."""
    return [(top, left) for top in _starts(height, rule) for left in _starts(width, rule)]


def sharpness(patches: Tensor) -> Tensor:
    """DPDNet's sharpness energy of one image's patches, relative to each other.

    The product of ``(s - min s) / (max s - min s)`` over Sobel kernels of 3, 7, 11 and 15 px, where ``s`` is a patch's
    sum of gradient magnitudes; minimum and maximum are over the patches.

    Args:
        patches: ``(N, 3, h, w)``, float, both sides longer than 7 px.

    Returns:
        ``(N,)``, float64, in [0, 1].
    """
    # One patch at a time, to save memory.
    totals = torch.stack([_gradient_sums(grey) for grey in rgb_to_grayscale(patches)[:, 0]], dim=1)
    totals = totals - totals.amin(dim=1, keepdim=True)
    return (totals / totals.amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)).prod(dim=0)


def kept(energy: Tensor, discard: float) -> list[int]:
    """Indices of the patches left after dropping the fraction ``discard`` with the lowest ``energy``, in order."""
    count = len(energy)
    dropped = math.floor(discard * count + 1e-9)  # so that 0.29 × 100 gives 29 despite rounding
    return sorted(energy.argsort(stable=True)[dropped:].tolist())


def cut(pair: Pair, rule: Rule) -> list[tuple[int, Pair]]:
    """The patches of a sample with their numbers among all candidates, ranked by the sharp image.

    Raises:
        UserError: the image is smaller than a patch.
    """
    height, width = pair.blurry.shape[-2:]
    if min(height, width) < rule.patch:
        raise UserError(f"{pair.name}: {width}x{height} pixels are smaller than patch={rule.patch}; lower patch")
    origins = corners(height, width, rule)
    numbers = list(range(len(origins)))
    if rule.discard:
        side = rule.patch
        patches = [to_float(pair.sharp[:, top : top + side, left : left + side]) for top, left in origins]
        numbers = kept(sharpness(torch.stack(patches)), rule.discard)
    return [(number, crop(pair, *origins[number], rule.patch, rule.patch)) for number in numbers]


def write_patches(
    pairs: Dataset[Pair],
    folder: Path,
    rule: Rule,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every pair's patches as ``folder/{blur,gt}/<name>_<number>.png``, at the images' bit depth.

    Args:
        pairs: map-style data set of single samples, 8 or 16 bit.
        folder: of one split.
        rule: how to cut.
        overwrite: replace existing images.
        progress: called with (pairs done, total).

    Returns:
        The number of patches written.

    Raises:
        UserError: the folder has images, an image is smaller than a patch, or see :func:`write_pair`.
    """
    checked(rule)
    clear_pictures(folder, overwrite)
    count, written = len(pairs), 0  # type: ignore[arg-type]
    with ThreadPoolExecutor(max_workers=4) as pool:  # compression releases the GIL
        for index in range(count):
            pair = pairs[index]
            height, width = pair.blurry.shape[-2:]
            digits = len(str(len(corners(height, width, rule))))
            named = [patch._replace(name=f"{pair.name}_{number:0{digits}}") for number, patch in cut(pair, rule)]
            list(pool.map(lambda patch: write_pair(folder, patch), named))
            written += len(named)
            if progress is not None:
                progress(index + 1, count)
    return written


def _starts(length: int, rule: Rule) -> list[int]:
    """Patch positions along one side: every stride, plus one patch flush with the far edge."""
    stride = max(1, math.floor(rule.patch * (1 - rule.overlap) + 1e-9))
    return [*range(0, length - rule.patch, stride), length - rule.patch]


def _gradient_sums(grey: Tensor) -> Tensor:
    """Sum of Sobel gradient magnitudes over ``(h, w)`` with reflected borders, for each kernel: ``(4,)``, float64.

    A Sobel kernel 4 px larger is the smaller one smoothed by (1, 4, 6, 4, 1) in both directions, so each gradient is
    computed from the previous one. Their growing scale cancels in ``sharpness``.
    """
    margin = SOBEL_SIZES[-1] // 2
    padded = F.pad(grey[None, None], (margin, margin, margin, margin), mode="reflect")[0, 0]
    smooth_rows, smooth_columns = (_add_neighbour(_add_neighbour(padded, dim), dim) for dim in (0, 1))
    gradient = torch.stack([smooth_rows[:, 2:] - smooth_rows[:, :-2], smooth_columns[2:] - smooth_columns[:-2]])
    sums = []
    for size in SOBEL_SIZES:
        inset = margin - size // 2
        inside = gradient[:, inset : inset + grey.shape[0], inset : inset + grey.shape[1]]
        sums.append(torch.hypot(*inside).sum(dtype=torch.float64))
        for dim in (1, 2) if size < SOBEL_SIZES[-1] else ():
            for _ in range(4):
                gradient = _add_neighbour(gradient, dim)
    return torch.stack(sums)


def _add_neighbour(image: Tensor, dim: int) -> Tensor:
    """Each pixel plus the next along ``dim``; one pixel shorter."""
    length = image.shape[dim] - 1
    return image.narrow(dim, 0, length) + image.narrow(dim, 1, length)
