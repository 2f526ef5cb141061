"""Learns JNB's dictionary: ``python -m jdrl_lightning.classical.learn_jnb --output jnb_dictionary.npz``.

One minute on one core. The same machine and versions reproduce the file exactly, others up to rounding.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from torch import Tensor

from jdrl_lightning.classical.jnb import CONTRAST, DICTIONARY, PATCH_PX, Dictionary, atoms_needed
from jdrl_lightning.classical.sparse_coding import learn_dictionary
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.data.synthetic.photographs import Photograph, from_scikit_image
from jdrl_lightning.data.synthetic.render import MASTER
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.io.atomic import atomic_write

__all__ = ["learn", "main"]

ATOMS, SPARSITY, ROUNDS = 64, 3, 20
BLUR_SIGMA = 2.0  # blur of the training patches, pixels
NOISE = 0.004  # standard deviation, typical of a well-exposed 8-bit photograph
RADII = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)  # of the calibration curve, pixels


def learn(photographs: list[Photograph], patches_each: int, seed: int) -> Dictionary:
    """Learn the dictionary and its curve from sharp photographs at the resolution of rendered frames.

    Args:
        photographs: of the training split.
        patches_each: training patches per photograph, of sufficient contrast.
        seed: for drawing patches and noise.
    """
    generator = torch.Generator().manual_seed(seed)
    sharp = [F.avg_pool2d(rgb_to_grayscale(photograph.load()[None]), MASTER) for photograph in photographs]

    def noisy(grey: Tensor) -> Tensor:
        return grey + NOISE * torch.randn(grey.shape, generator=generator)

    drawn = []
    for grey in sharp:
        patches = F.unfold(noisy(smooth(grey, BLUR_SIGMA)), PATCH_PX)[0].T
        patches = patches - patches.mean(1, keepdim=True)
        patches = patches[patches.norm(dim=1) / PATCH_PX > CONTRAST / 2]
        drawn.append(patches[torch.randperm(len(patches), generator=generator)[:patches_each]])
    signals = torch.cat(drawn)
    signals = signals / signals.norm(dim=1, keepdim=True)  # so that high contrast does not dominate
    atoms = learn_dictionary(signals, ATOMS, SPARSITY, ROUNDS, generator)

    counts = []
    for radius in RADII:
        means = []
        for grey in sharp:
            blurred = blur_by_discs(grey[0], torch.full(grey.shape[-2:], radius))[None] if radius else grey
            count, contrast = atoms_needed(noisy(blurred), atoms)
            means.append(count[contrast > CONTRAST].mean())
        counts.append(torch.stack(means).nanmean())  # a photograph may have no patch of sufficient contrast
    falling = torch.stack(counts).cummin(0).values
    names = ", ".join(photograph.name for photograph in photographs)
    provenance = (
        f"python -m jdrl_lightning.classical.learn_jnb: {len(signals)} patches of scikit-image's {names}, blurred by a "
        f"Gaussian of {BLUR_SIGMA} px, seed {seed}; torch {torch.__version__}, scikit-image {version('scikit-image')}"
    )
    return Dictionary(atoms, torch.tensor(RADII), falling, provenance)


def main() -> None:
    """Learn the dictionary and write it to ``--output``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output", type=Path, required=True, help=f"npz file to write; the package's own is {DICTIONARY.name}"
    )
    output = parser.parse_args().output
    torch.set_num_threads(1)
    learned = learn(from_scikit_image("train"), 4000, seed=0)
    with atomic_write(output) as file:
        np.savez_compressed(
            file,
            atoms=learned.atoms.numpy(),
            radius_px=learned.radius_px.numpy(),
            needed=learned.needed.numpy(),
            provenance=np.array(learned.provenance),
        )
    for radius, needed in zip(learned.radius_px.tolist(), learned.needed.tolist(), strict=True):
        print(f"radius {radius:3.1f} px: {needed:5.2f} atoms")
    print(f"{output}: {learned.provenance}")


if __name__ == "__main__":
    main()
