"""Which mask, reduction, anchor and weight of reblurring? ``python benchmarks/objective.py --output table.md``

Trains the demonstration's network with ``jdrl_quick`` and with one setting of it changed at a time, on the same pairs,
and measures whole held-out images against the truth. Beside them the aligned ceiling and the registered pixel-wise row.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from jdrl_lightning import build
from jdrl_lightning.demo.rows import as_batches, compose_row, measure_images, train_row
from jdrl_lightning.metrics.report import paired_interval

ROWS: dict[str, tuple[str, ...]] = {
    "jdrl_quick": ("jdrl",),
    "mask=none": ("jdrl", "objective.mask=none"),
    "mask=magnitude": ("jdrl", "objective.mask=magnitude"),
    "mask=residual": ("jdrl", "objective.mask=residual"),
    "reduction=mean": ("jdrl", "objective.reduction=mean"),
    "anchor=none": ("jdrl", "objective.anchor=none"),
    "alpha=0": ("jdrl", "objective.alpha=0"),
    "alpha=0.5": ("jdrl", "objective.alpha=0.5"),
    "warp_only": ("jdrl", "objective.alpha=0", "objective.warmup_epochs=1000"),
    "prealign": ("prealign",),
    "aligned_ceiling": ("aligned_ceiling",),
}
QUIET = ("callbacks.progress=null", "callbacks.panels=null", "+trainer.enable_model_summary=false")


def main() -> None:
    """Train and measure every row, seed after seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", default="photos", help="photos, photos_heavy or leaves")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in given.seeds:
            for row in given.rows:
                started = time.monotonic()
                found.setdefault(row, []).append(trained(row, given.data, seed, Path(folder) / f"{row}{seed}"))
                psnr = found[row][-1]["psnr"].mean()
                print(f"seed {seed} {row}: {psnr:.2f} dB, {time.monotonic() - started:.0f} s", flush=True)
            report(found, given)


def trained(row: str, data: str, seed: int, folder: Path) -> dict[str, np.ndarray]:
    """Every measure of every test image, for one training."""
    method, *overrides = ROWS[row]
    settings = [f"data={data}", f"seed={seed}"]
    module, _, _ = train_row(compose_row(method, folder, [*QUIET, *settings, *overrides]), folder)
    test = build.datamodule(compose_row("jdrl", folder, settings)).pairs("test")
    return measure_images(module, as_batches(test, module))[0]


def report(found: dict[str, list[dict[str, np.ndarray]]], given: argparse.Namespace) -> None:
    """Print the table of the seeds so far, and write it if asked."""
    first = next(iter(found))
    base = np.concatenate([images["psnr"] for images in found[first]])
    lines = [f"| {given.data} | PSNR, dB (each seed) | less {first}, dB | placement, px |", "|---|---|---|---|"]
    for row, seeds in found.items():
        psnr = [float(images["psnr"].mean()) for images in seeds]
        all_images = np.concatenate([images["psnr"] for images in seeds])
        low, high = paired_interval(all_images.tolist(), base.tolist())
        placement = statistics.mean(float(images["placement_px"].mean()) for images in seeds)
        each = ", ".join(f"{value:.2f}" for value in psnr)
        difference = f"{all_images.mean() - base.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        lines.append(f"| {row} | {statistics.mean(psnr):.2f} ({each}) | {difference} | {placement:.3f} |")
    table = "\n".join(lines)
    print(table, flush=True)
    if given.output:
        seeds_given = " ".join(map(str, given.seeds))
        command = f"python benchmarks/objective.py --data {given.data} --seeds {seeds_given} --output {given.output}"
        threads = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
        given.output.write_text(
            f"`{command}`\n\n{threads}; 95 % bootstrap interval over images and seeds.\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
