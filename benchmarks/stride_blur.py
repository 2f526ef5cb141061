"""How soon does a reblurring network see the blur? ``python benchmarks/stride_blur.py --strides 4 1``

It alone is trained on pairs that line up, in the demonstration's lens, to blur the sharp image as the blurry one is.
Printed after some steps: the mean absolute error of the radius that it predicts for the test images, px, everywhere and
within 4 px of depth edges, and the processor time so far, of one thread.
"""

from __future__ import annotations

import argparse
import time

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning import data
from jdrl_lightning.data.augment import augment, collate
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.types import Pair
from objective import EDGE_PX

CROP, BATCH, RATE = 96, 8, 5e-4
FRAMES = {"train": 6, "test": 8}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strides", type=int, nargs="+", default=[4, 1])
    parser.add_argument("--after", type=int, nargs="+", default=[180, 360, 720], help="steps")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    train, test = frames("train"), [collate([pair]).to_float() for pair in frames("test")]
    print("| stride | steps | blur, px | at edges | CPU time, s |\n|---:|---:|---:|---:|---:|")
    for stride in given.strides:
        torch.manual_seed(given.seed)
        network = ReblurNet(width=32, stride=stride)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        started = time.process_time()
        for step in range(1, max(given.after) + 1):
            items = range(BATCH * (step - 1), BATCH * step)
            pair = collate([augment(train[k % len(train)], CROP, given.seed, 0, k) for k in items]).to_float()
            loss = charbonnier_loss(network(pair.extras["aligned"], pair.blurry), pair.blurry)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step in given.after:
                spent = time.process_time() - started
                everywhere, edges = errors([predicted(network, pair) for pair in test], test)
                print(f"| {stride} | {step} | {everywhere:.2f} | {edges:.2f} | {spent:.0f} |", flush=True)


def frames(split: str) -> list[Pair]:
    """Rendered pairs that line up."""
    pairs = data.create(
        "photos", split=split, seed=0, crop=CROP, misalignment="none", camera="mirror", frames_per_photo=FRAMES
    )
    return [pairs[i] for i in range(len(pairs))]


@torch.no_grad()
def predicted(network: ReblurNet, pair: Pair) -> Tensor:
    return network.blur_radius(pair.extras["aligned"], pair.blurry)


def errors(maps: list[Tensor], pairs: list[Pair]) -> tuple[float, float]:
    """Of maps of the blur, px: everywhere and near edges; means over the images that have such pixels."""
    everywhere: list[Tensor] = []
    edges: list[Tensor] = []
    for found, pair in zip(maps, pairs, strict=True):
        truth = pair.extras["coc"]
        error = (found - truth).abs()
        near = F.max_pool2d(truth, 9, 1, 4) + F.max_pool2d(-truth, 9, 1, 4) > EDGE_PX
        everywhere.append(error.mean())
        edges.extend([error[near].mean()] if near.any() else [])
    return float(torch.stack(everywhere).mean()), float(torch.stack(edges).mean())


if __name__ == "__main__":
    main()
