"""JNB: defocus from how many atoms of a dictionary of blurred patches a patch needs; the sharper it is, the more."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.classical.propagation import propagate
from jdrl_lightning.classical.sparse_coding import pursue
from jdrl_lightning.flow.filters import luminance

__all__ = ["DICTIONARY", "PATCH_PX", "Dictionary", "atoms_needed", "jnb_map", "read_dictionary"]

DICTIONARY = Path(__file__).with_name("jnb_dictionary.npz")
PATCH_PX = 8
STRIDE_PX = 2  # between patches
ERROR = 0.01  # root mean square, at which a patch counts as coded: about the noise of an 8-bit photograph
MOST = 24  # atoms a patch
CONTRAST = 0.04  # standard deviation below which a patch tells nothing
WINDOW_PX = 21  # of the guided filter, in patches
CHUNK = 16_384  # patches coded at a time: their atoms must fit into the memory


class Dictionary(NamedTuple):
    """What was learned: ``atoms`` ``(k, 64)`` of norm 1, and how many of them patches have ``needed`` on average whose
    circle of confusion has a radius of ``radius_px`` (ascending; the number does not grow); ``provenance`` says how."""

    atoms: Tensor
    radius_px: Tensor
    needed: Tensor
    provenance: str


def jnb_map(blurry: Tensor) -> Tensor:
    """Radius of the circle of confusion from the number of atoms, patch by patch, smoothed along edges.

    As published: a dictionary learned on patches blurred by a Gaussian of σ = 2 px; each patch coded by as few of its
    atoms as leave an error within a bound; their number as the measure of blur, turned into a width by a curve measured
    on known blur; smoothing that keeps edges. That much the paper's abstract and the literature say; neither its full
    text nor its code was used. **Ours are**: the sizes (8×8 px, 64 atoms), the way the dictionary is learned and coded,
    the bound of the error; that patches of low contrast, which need few atoms however sharp they are, do not count but
    get their neighbours' value; the guided filter; and the curve, measured with discs on the training photographs
    (``jnb_dictionary.npz``, made by ``python -m jdrl_lightning.classical.learn_jnb``). The measure is made for slight
    blur: the count hardly changes beyond 3 px.

    Args:
        blurry: ``(B, 3, H, W)`` in [0, 1].

    Returns:
        ``(B, 1, H, W)``, pixels, 0 to 7; 0 for a picture without contrast.

    Source: Shi, Xu and Jia, CVPR 2015, "Just Noticeable Defocus Blur Detection and Estimation".
    """
    dictionary = read_dictionary()
    count, contrast = atoms_needed(luminance(blurry), dictionary.atoms)
    textured = (contrast > CONTRAST).to(blurry)
    size = (count.shape[-2], count.shape[-1])
    smooth = propagate(count, textured, F.interpolate(blurry, size, mode="bilinear", antialias=True), WINDOW_PX)
    smooth = F.interpolate(smooth, blurry.shape[-2:], mode="bilinear")
    radius = _radius(smooth, dictionary)
    return radius * textured.flatten(1).any(1).view(-1, 1, 1, 1)


def atoms_needed(grey: Tensor, atoms: Tensor) -> tuple[Tensor, Tensor]:
    """For the patch around every second pixel of every second row: the number of atoms, and its standard deviation.

    Args:
        grey: ``(B, 1, H, W)`` in [0, 1].
        atoms: ``(k, 64)``.

    Returns:
        Two maps ``(B, 1, ceil(H/2), ceil(W/2))``.
    """
    before = (PATCH_PX - 1) // 2
    around = F.pad(grey, (before, PATCH_PX - 1 - before, before, PATCH_PX - 1 - before), mode="replicate")
    patches = F.unfold(around, PATCH_PX, stride=STRIDE_PX).transpose(1, 2).flatten(0, 1)
    patches = patches - patches.mean(1, keepdim=True)
    tolerance = patches.new_full((len(patches),), ERROR * PATCH_PX)
    parts = zip(patches.split(CHUNK), tolerance.split(CHUNK), strict=True)
    count = torch.cat([pursue(part, atoms.to(part), bound, MOST).taken for part, bound in parts])
    shape = (len(grey), 1, *(-(-side // STRIDE_PX) for side in grey.shape[-2:]))
    return count.to(grey).view(shape), (patches.norm(dim=1) / PATCH_PX).view(shape)


@cache
def read_dictionary() -> Dictionary:
    """The dictionary that the package ships."""
    with np.load(DICTIONARY, allow_pickle=False) as content:
        atoms, radius_px, needed = (torch.from_numpy(content[name]) for name in ("atoms", "radius_px", "needed"))
        return Dictionary(atoms, radius_px, needed, str(content["provenance"]))


def _radius(count: Tensor, dictionary: Dictionary) -> Tensor:
    """The curve read backwards, linear between its points."""
    counts, radii = dictionary.needed.flip(0).to(count), dictionary.radius_px.flip(0).to(count)
    above = torch.searchsorted(counts, count.contiguous()).clamp(1, len(counts) - 1)
    low, high = counts[above - 1], counts[above]
    share = ((count - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return torch.lerp(radii[above - 1], radii[above], share)
