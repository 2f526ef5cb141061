"""JNB: defocus from the number of dictionary atoms that code a patch; sharper patches need more."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.classical.sparse_coding import pursue
from jdrl_lightning.flow.propagation import propagate

__all__ = ["DICTIONARY", "PATCH_PX", "Dictionary", "atoms_needed", "jnb_map", "read_dictionary"]

DICTIONARY = Path(__file__).with_name("jnb_dictionary.npz")
PATCH_PX = 8
STRIDE_PX = 2  # between patches
ERROR = 0.01  # root mean square error of a coded patch, about the noise of an 8-bit photograph
MOST = 24  # atoms per patch
CONTRAST = 0.04  # standard deviation below which a patch is ignored
WINDOW_PX = 21  # of the guided filter, in patches
CHUNK = 16_384  # patches coded at a time; bounds memory


class Dictionary(NamedTuple):
    """A learned dictionary and its calibration curve.

    Attributes:
        atoms: ``(k, 64)``, of norm 1.
        radius_px: ``(n,)``, radii of the circle of confusion, ascending.
        needed: ``(n,)``, mean number of atoms per patch at these radii, not increasing.
        provenance: how it was learned.
    """

    atoms: Tensor
    radius_px: Tensor
    needed: Tensor
    provenance: str


def jnb_map(blurry: Tensor) -> Tensor:
    """Radius of the circle of confusion from the number of atoms, patch by patch, smoothed along edges.

    As published: a dictionary learned on patches blurred by a Gaussian of σ = 2 px; each patch coded with the fewest
    atoms within an error bound; their number as the measure of blur, converted to a width by a curve measured on known
    blur; edge-preserving smoothing. This is what the paper's abstract and the literature describe; neither its full
    text nor its code was used. **Ours are**: the sizes (8×8 px, 64 atoms), how the dictionary is learned and coded, the
    error bound; that patches of low contrast, which need few atoms however sharp they are, take the value of their
    neighbours; the guided filter; the curve, measured with discs on the training photographs (``jnb_dictionary.npz``,
    written by ``python -m jdrl_lightning.classical.learn_jnb``). The measure is for slight blur: the number hardly
    changes beyond 3 px.

    Args:
        blurry: ``(B, 3, H, W)`` in [0, 1].

    Returns:
        ``(B, 1, H, W)``, pixels, 0 to 7; 0 for an image without contrast.

    Source: Shi, Xu and Jia, CVPR 2015, "Just Noticeable Defocus Blur Detection and Estimation".
    """
    dictionary = read_dictionary()
    count, contrast = atoms_needed(rgb_to_grayscale(blurry), dictionary.atoms)
    textured = (contrast > CONTRAST).to(blurry)
    size = (count.shape[-2], count.shape[-1])
    smooth = propagate(count, textured, F.interpolate(blurry, size, mode="bilinear", antialias=True), WINDOW_PX)
    smooth = F.interpolate(smooth, blurry.shape[-2:], mode="bilinear")
    radius = _radius(smooth, dictionary)
    return radius * textured.flatten(1).any(1).view(-1, 1, 1, 1)


def atoms_needed(grey: Tensor, atoms: Tensor) -> tuple[Tensor, Tensor]:
    """Number of atoms, and contrast (standard deviation), of the patch around every second pixel in x and y.

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
    """The shipped dictionary."""
    with np.load(DICTIONARY, allow_pickle=False) as content:
        atoms, radius_px, needed = (torch.from_numpy(content[name]) for name in ("atoms", "radius_px", "needed"))
        return Dictionary(atoms, radius_px, needed, str(content["provenance"]))


def _radius(count: Tensor, dictionary: Dictionary) -> Tensor:
    """Inverse of the calibration curve, linear between its points."""
    counts, radii = dictionary.needed.flip(0).to(count), dictionary.radius_px.flip(0).to(count)
    above = torch.searchsorted(counts, count.contiguous()).clamp(1, len(counts) - 1)
    low, high = counts[above - 1], counts[above]
    share = ((count - low) / (high - low).clamp_min(1e-6)).clamp(0, 1)
    return torch.lerp(radii[above - 1], radii[above], share)
