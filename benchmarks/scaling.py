"""How pixel-wise training and JDRL scale: ``python benchmarks/scaling.py [--repeats 5] [override …]``

Varies one setting at a time from ``backbone=unet_small``, four pairs of 96×96 px and one thread. Both take turns in one
process; medians of wall-clock time, so the machine should be idle. Arithmetic alone: the share of JDRL's step that the
multiply-adds of its convolutions would take at the rate of a large matrix product or convolution, measured alongside.
Overrides are those of the training command.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from jdrl_lightning.runtime.counting import multiply_adds
from jdrl_lightning.runtime.malloc import keep_freed_memory
from roofline import ceilings
from step import Step

BATCHES, CROPS, THREADS = (1, 2, 4, 8), (64, 96, 128, 192), (1, 2)
BATCH, CROP = 4, 96


def measured(overrides: list[str], batch: int, crop: int, threads: int, repeats: int) -> tuple[float, float, float]:
    """Milliseconds of a plain and of a JDRL step; the latter's share that multiply-adds would take at the best rate."""
    torch.set_num_threads(threads)
    settings = ["backbone=unet_small", *overrides, f"data.batch_size={batch}", f"data.crop={crop}"]
    steps = [Step(form, settings) for form in ("plain", "jdrl")]
    turns: list[list[float]] = []
    for _ in range(repeats + 1):
        turns.append([])
        for step in steps:
            start = time.perf_counter()
            step()
            turns[-1].append(1e3 * (time.perf_counter() - start))
    plain, jdrl = (statistics.median(times) for times in zip(*turns[1:], strict=True))
    return plain, jdrl, 1e3 * multiply_adds(steps[1]) / (ceilings().multiply_adds * threads) / jdrl


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    given, overrides = parser.parse_known_args()
    keep_freed_memory()  # as the training command does
    runs = [(batch, CROP, 1) for batch in BATCHES]
    runs += [(BATCH, crop, 1) for crop in CROPS if crop != CROP]
    runs += [(BATCH, CROP, threads) for threads in THREADS if threads != 1]
    print("| batch | crop, px | threads | plain, ms | JDRL, ms | ratio | JDRL, pairs a second | arithmetic alone, % |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for batch, crop, threads in runs:
        plain, jdrl, alone = measured(overrides, batch, crop, threads, given.repeats)
        figures = f"{plain:.0f} | {jdrl:.0f} | {jdrl / plain:.2f} | {1e3 * batch / jdrl:.1f} | {100 * alone:.0f}"
        print(f"| {batch} | {crop} | {threads} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
