"""Patches of large pairs without the least sharp of each picture, as DPDNet was trained on.

Source: Abuolaim and Brown, Defocus Deblurring Using Dual-Pixel Data, ECCV 2020. Its published code adds the last row or
column of patches twice where the stride divides the picture; here no patch is there twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.augment import crop
from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.filters import luminance
from jdrl_lightning.preparation.write_pairs import claim, write_pair
from jdrl_lightning.types import Pair, to_float

__all__ = ["PRESETS", "Rule", "checked", "corners", "cut", "kept", "preset", "sharpness", "write_patches"]

SOBEL_SIZES = (3, 7, 11, 15)
SMALLEST_PX = 16  # the largest Sobel kernel must fit


class Rule(NamedTuple):
    """How a picture is cut.

    Attributes:
        patch: side, px.
        overlap: share of the side that neighbours have in common, in [0, 1); the last of a row or column has more.
        discard: share of a picture's patches that is left out, rounded down to whole patches, in [0, 1).
    """

    patch: int = 512
    overlap: float = 0.6
    discard: float = 0.3


# 20 of 28 patches of DPDD's 1680×1120. The published SDD has 42 of each picture: so many of 60 are what the other two
# keep, at half size (2048×1080) and at full size (4096×2160).
PRESETS = {"dpdnet": Rule(), "sdd_half": Rule(overlap=0.7), "sdd_native": Rule(overlap=0.2)}


def preset(name: str, patch: int = 512, overlap: float | None = None, discard: float | None = None) -> Rule:
    """The rule ``dpdnet``, ``sdd_half`` or ``sdd_native``, with other numbers where they are given.

    Raises:
        UserError: an unknown name, or a number out of its range.
    """
    check_choice("preset", name, PRESETS)
    known = PRESETS[name]
    return checked(
        Rule(patch, known.overlap if overlap is None else overlap, known.discard if discard is None else discard)
    )


def checked(rule: Rule) -> Rule:
    """The same rule.

    Raises:
        UserError: a number out of its range.
    """
    if not isinstance(rule.patch, int) or rule.patch < SMALLEST_PX:
        raise UserError(f"patch={rule.patch}: must be a whole number of at least {SMALLEST_PX} px")
    for name in ("overlap", "discard"):
        value = getattr(rule, name)
        if not isinstance(value, int | float) or not 0 <= value < 1:
            raise UserError(f"{name}={value}: must lie in [0, 1)")
    return rule


def corners(height: int, width: int, rule: Rule) -> list[tuple[int, int]]:
    """(top, left) of every candidate, px, row by row."""
    return [(top, left) for top in _starts(height, rule) for left in _starts(width, rule)]


def sharpness(patches: Tensor) -> Tensor:
    """DPDNet's sharpness energy of one picture's patches, relative to each other.

    The product over Sobel kernels of 3, 7, 11 and 15 px of ``(s - min s) / (max s - min s)``, where ``s`` is a patch's
    sum of gradient magnitudes, and minimum and maximum are taken over the patches.

    Args:
        patches: ``(N, 3, h, w)``, float, both sides longer than 7 px.

    Returns:
        ``(N,)``, float64, in [0, 1].
    """
    totals = torch.stack(
        [_gradient_sums(grey) for grey in luminance(patches)[:, 0]], dim=1
    )  # one by one: they are large
    totals = totals - totals.amin(dim=1, keepdim=True)
    return (totals / totals.amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny)).prod(dim=0)


def kept(energy: Tensor, discard: float) -> list[int]:
    """Which patches stay once the share ``discard`` with the lowest ``energy`` is left out, in order."""
    count = len(energy)
    out = math.floor(discard * count + 1e-9)  # 0.29 × 100 is 29, whatever its binary form
    return sorted(energy.argsort(stable=True)[out:].tolist())


def cut(pair: Pair, rule: Rule) -> list[tuple[int, Pair]]:
    """The patches of a single sample with their numbers among all candidates; the sharp picture decides which stay.

    Raises:
        UserError: the picture is smaller than a patch.
    """
    height, width = pair.blurry.shape[-2:]
    if min(height, width) < rule.patch:
        raise UserError(f"{pair.name}: {width}x{height} pixels are smaller than patch={rule.patch}; lower patch")
    places = corners(height, width, rule)
    numbers = list(range(len(places)))
    if rule.discard:
        side = rule.patch
        patches = [to_float(pair.sharp[:, top : top + side, left : left + side]) for top, left in places]
        numbers = kept(sharpness(torch.stack(patches)), rule.discard)
    return [(number, crop(pair, *places[number], rule.patch, rule.patch)) for number in numbers]


def write_patches(
    pairs: Dataset[Pair],
    folder: Path,
    rule: Rule,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write every pair's patches as ``folder/{blur,gt}/<name>_<number>.png``, in the bits that the pictures have.

    Args:
        pairs: map-style data set of single samples, 8 or 16 bit.
        folder: of one split.
        rule: how to cut.
        overwrite: replace the pictures that are there.
        progress: called with (pairs done, all pairs).

    Returns:
        How many patches there are.

    Raises:
        UserError: pictures are there, a picture is smaller than a patch, or see :func:`write_pair`.
    """
    checked(rule)
    claim(folder, overwrite)
    count, written = len(pairs), 0  # type: ignore[arg-type]
    with ThreadPoolExecutor(max_workers=4) as pool:  # compression lets go of Python's lock
        for index in range(count):
            pair = pairs[index]
            height, width = pair.blurry.shape[-2:]
            digits = len(str(len(corners(height, width, rule))))
            named = [one._replace(name=f"{pair.name}_{number:0{digits}}") for number, one in cut(pair, rule)]
            list(pool.map(lambda one: write_pair(folder, one), named))
            written += len(named)
            if progress is not None:
                progress(index + 1, count)
    return written


def _starts(length: int, rule: Rule) -> list[int]:
    """Steps of the stride as far as they go, and one patch at the far edge."""
    stride = max(1, math.floor(rule.patch * (1 - rule.overlap) + 1e-9))
    return [*range(0, length - rule.patch, stride), length - rule.patch]


def _gradient_sums(grey: Tensor) -> Tensor:
    """Sums of the Sobel gradient's magnitude over ``(h, w)``, mirrored at the edges, a kernel each: ``(4,)``, float64.

    A Sobel kernel that is 4 px larger is the smaller one smoothed by (1, 4, 6, 4, 1) both ways, so each gradient is
    made from the one before. Their scale, which grows, does not matter here.
    """
    margin = SOBEL_SIZES[-1] // 2
    padded = F.pad(grey[None, None], (margin, margin, margin, margin), mode="reflect")[0, 0]
    smooth_rows, smooth_columns = (_doubled(_doubled(padded, dim), dim) for dim in (0, 1))
    gradient = torch.stack([smooth_rows[:, 2:] - smooth_rows[:, :-2], smooth_columns[2:] - smooth_columns[:-2]])
    sums = []
    for size in SOBEL_SIZES:
        inset = margin - size // 2
        inside = gradient[:, inset : inset + grey.shape[0], inset : inset + grey.shape[1]]
        sums.append(torch.hypot(*inside).sum(dtype=torch.float64))
        for dim in (1, 2) if size < SOBEL_SIZES[-1] else ():
            for _ in range(4):
                gradient = _doubled(gradient, dim)
    return torch.stack(sums)


def _doubled(image: Tensor, dim: int) -> Tensor:
    """Each pixel and the next along ``dim``, added; one pixel shorter."""
    length = image.shape[dim] - 1
    return image.narrow(dim, 0, length) + image.narrow(dim, 1, length)
