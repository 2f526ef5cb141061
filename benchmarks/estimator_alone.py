"""What the estimator of ``backbone=guided`` can learn of blur: ``python benchmarks/estimator_alone.py --root DIR``

Trained alone on rendered pairs as far apart as a focus stack's: by the label of ``objective=jdrl_map``, measured of the
pair, or by the true circle of confusion. Compared with the truth as benchmarks/learned_map.py compares it: what that
falls short of this is the cost of training beside a network; what the label falls short of the truth is the label's,
and the rest is the estimator's and due to the length of its training. ``--root`` has ``train/``, ``val/``, ``test/``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jdrl_lightning.backbones.cell_blur_estimator import CellBlurEstimator
from jdrl_lightning.backbones.guided import DISC, REACH_PX
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import all_in_folder
from jdrl_lightning.objectives.jdrl_map import NEAR_PX
from jdrl_lightning.types import to_float
from learned_map import HEAD, PairLabel, held_out_frames, row

CROP, BATCH, RATE = 96, 8, 5e-4
PX = DISC * REACH_PX


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10000], help="of each training")
    parser.add_argument("--frames", type=int, default=16, help="of each photograph")
    parser.add_argument("--labels", nargs="+", choices=("pair", "truth"), default=["pair"])
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
            print(row(title, lambda frame, net=estimator: PX * net(frame.blurry).clamp_min(0), frames), flush=True)


def labelled(folder: Path, seed: int, count: int) -> list[dict[str, Tensor]]:
    """Of each frame: ``blurry``, and both labels, px, ``(C, H, W)`` in half precision."""
    optics, label = [CAMERAS["default"]], PairLabel()
    pairs = RenderedPairs(all_in_folder(folder), seed, count, optics=optics, misalignment=preset("stack"))
    examples = []
    for index in range(len(pairs)):
        pair = pairs.render(index)
        blurry, sharp = (to_float(image)[None] for image in (pair.blurry, pair.sharp))
        kept = {"blurry": blurry[0], "pair": label(blurry, sharp)[0], "truth": pair.extras["coc"]}
        examples.append({name: value.half() for name, value in kept.items()})
    return examples


def trained(examples: list[dict[str, Tensor]], label: str, steps: int, seed: int) -> CellBlurEstimator:
    """AdamW with a cosine, on crops turned and flipped; as in the objective, errors below ``NEAR_PX`` count squared."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    estimator = CellBlurEstimator(1, 32, 4)
    optimizer = torch.optim.AdamW(estimator.parameters(), RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        crops = torch.stack([crop(examples[rng.integers(len(examples))], label, rng) for _ in range(BATCH)])
        blurry, radius = crops.split([3, 1], dim=1)
        known = (radius >= 0).to(radius)
        error = F.smooth_l1_loss(PX * estimator(blurry), radius, reduction="none", beta=NEAR_PX)
        optimizer.zero_grad()
        ((error * known).sum() / known.sum().clamp_min(1)).backward()
        nn.utils.clip_grad_norm_(estimator.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return estimator.eval()


def crop(example: dict[str, Tensor], label: str, rng: np.random.Generator) -> Tensor:
    """Blurry image and radius of a random crop, ``(4, CROP, CROP)``."""
    whole = torch.cat([example["blurry"], example[label]])
    top, left = (int(rng.integers(side - CROP + 1)) for side in whole.shape[-2:])
    piece = whole[:, top : top + CROP, left : left + CROP].float()
    piece = piece.flip(-1) if rng.random() < 0.5 else piece
    return piece.rot90(int(rng.integers(4)), (-2, -1))


if __name__ == "__main__":
    main()
