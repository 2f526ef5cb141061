"""What the estimator of ``backbone=guided`` can learn of blur: ``python benchmarks/estimator_alone.py --root DIR``

Trained alone, from rendered pairs in place: by the label of ``objective=jdrl_map``, the best disc, where it is known,
or by the true circle of confusion everywhere. Compared with the truth as benchmarks/learned_map.py compares it: what
that falls short of this is the cost of misalignment and of training beside a network; what this falls short of the
label is the estimator's, and due to the length of its training. ``--root`` has ``train/``, ``val/`` and ``test/``.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.cell_blur_estimator import CellBlurEstimator
from jdrl_lightning.backbones.guided import DISC, REACH_PX
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.photographs import all_in_folder
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.types import to_float
from learned_map import HEAD, held_out_frames, row

CROP, BATCH, RATE = 96, 8, 5e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10000], help="of each training")
    parser.add_argument("--frames", type=int, default=16, help="of each photograph")
    parser.add_argument("--labels", nargs="+", choices=("match", "truth"), default=["match"])
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    examples = labelled(given.root / "train", given.seed, given.frames)
    frames = held_out_frames(given.root)
    print(HEAD)
    for label in given.labels:
        for steps in given.steps:
            started = time.process_time()
            estimator = trained(examples, label, steps, given.seed)
            title = f"{label}, {steps} steps, {(time.process_time() - started) / 60:.0f} min"
            print(row(title, partial(estimated, estimator), frames), flush=True)


def estimated(estimator: CellBlurEstimator, blurry: Tensor, sharp: Tensor) -> Tensor:
    """The radius, px."""
    return DISC * REACH_PX * estimator(blurry).clamp_min(0)


def labelled(folder: Path, seed: int, count: int) -> list[dict[str, Tensor]]:
    """Of each frame: ``blurry``, and of both labels the radius, px, and its weight, ``(C, H, W)`` in half precision."""
    pairs = RenderedPairs(all_in_folder(folder), seed, count, optics=[CAMERAS["default"]])
    examples = []
    for index in range(len(pairs)):
        pair = pairs.render(index)
        blurry, true = to_float(pair.blurry), pair.extras["coc"]
        radius, known = matched_radius(to_float(pair.extras["aligned"])[None], blurry[None])
        kept = {"blurry": blurry, "match": torch.cat([radius[0], known[0]]), "truth": torch.cat([true, true * 0 + 1])}
        examples.append({name: value.half() for name, value in kept.items()})
    return examples


def trained(examples: list[dict[str, Tensor]], label: str, steps: int, seed: int) -> CellBlurEstimator:
    """AdamW with a cosine on the mean absolute error, on crops turned and flipped."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    estimator = CellBlurEstimator(1, 32, 4)
    optimizer = torch.optim.AdamW(estimator.parameters(), RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        crops = torch.stack([crop(examples[rng.integers(len(examples))], label, rng) for _ in range(BATCH)])
        blurry, radius, weight = crops.split([3, 1, 1], dim=1)
        error = (DISC * REACH_PX * estimator(blurry) - radius).abs()
        optimizer.zero_grad()
        ((error * weight).sum() / weight.sum()).backward()
        nn.utils.clip_grad_norm_(estimator.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return estimator.eval()


def crop(example: dict[str, Tensor], label: str, rng: np.random.Generator) -> Tensor:
    """Blurry image, radius and weight of a random crop, ``(5, CROP, CROP)``."""
    whole = torch.cat([example["blurry"], example[label]])
    top, left = (int(rng.integers(side - CROP + 1)) for side in whole.shape[-2:])
    piece = whole[:, top : top + CROP, left : left + CROP].float()
    piece = piece.flip(-1) if rng.random() < 0.5 else piece
    return piece.rot90(int(rng.integers(4)), (-2, -1))


if __name__ == "__main__":
    main()
