"""Which mask, reduction, anchor and weight of reblurring? ``python benchmarks/objective.py --output table.md``

Trains the demonstration's network with ``jdrl_quick`` and with one setting of it changed at a time, on the same pairs,
and measures whole held-out images against the truth. Beside them the aligned ceiling and the registered pixel-wise row.
"""

from __future__ import annotations

import argparse
import csv
import logging
import re
import shlex
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from jdrl_lightning import build
from jdrl_lightning.comparison import QUIET, as_batches, measure_images, train_row
from jdrl_lightning.demo.rows import compose_row
from jdrl_lightning.metrics.report import paired_interval, write_csv

FROM_ALIGNED = "objective.reblur_learns_from=aligned"
ROWS: dict[str, tuple[str, ...]] = {
    "jdrl_quick": ("jdrl",),
    "mask=none": ("jdrl", "objective.mask=none"),
    "mask=magnitude": ("jdrl", "objective.mask=magnitude"),
    "mask=residual": ("jdrl", "objective.mask=residual"),
    "reduction=mean": ("jdrl", "objective.reduction=mean"),
    "anchor=none": ("jdrl", "objective.anchor=none"),
    "reblur from output, alpha=0.1": ("jdrl", "objective.reblur_learns_from=restored", "objective.alpha=0.1"),
    "reblur from output, alpha=0.5": ("jdrl", "objective.reblur_learns_from=restored", "objective.alpha=0.5"),
    "reblur from sharp, alpha=0.1": ("jdrl", FROM_ALIGNED, "objective.alpha=0.1"),
    "reblur from sharp, alpha=0.5": ("jdrl", FROM_ALIGNED, "objective.alpha=0.5"),
    "reblur from sharp, alpha=1": ("jdrl", FROM_ALIGNED, "objective.alpha=1"),
    "no reblurring": ("jdrl", "objective.alpha=0"),
    "warp_only": ("jdrl", "objective.alpha=0", "objective.warmup_epochs=1000"),
    "prealign": ("prealign",),
    "aligned_ceiling": ("aligned_ceiling",),
}


def main() -> None:
    """Train and measure every row, seed after seed; what ``--folder`` holds already is not trained again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", default="photos", help="photos, photos_heavy or leaves")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--folder", type=Path, default=Path("outputs/objective"), help="of each training's figures")
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for seed in given.seeds:
        for row in given.rows:
            started = time.monotonic()
            found.setdefault(row, []).append(measured(row, given.data, seed, given.folder))
            psnr = found[row][-1]["psnr"].mean()
            print(f"seed {seed} {row}: {psnr:.2f} dB, {time.monotonic() - started:.0f} s", flush=True)
        report(found, given)


def measured(row: str, data: str, seed: int, folder: Path) -> dict[str, np.ndarray]:
    """Every measure of every test image, read from ``folder`` or, if it is not there, trained for."""
    method, *overrides = ROWS[row]
    settings = [f"data={data}", f"seed={seed}"]
    file = folder / f"{data}_seed{seed}_{re.sub('[^a-z0-9.]+', '_', row)}.csv"
    if not file.exists():
        with tempfile.TemporaryDirectory() as run:
            module, _, _ = train_row(compose_row(method, Path(run), [*QUIET, *settings, *overrides]), Path(run))
        test = build.datamodule(compose_row("jdrl", folder, settings)).pairs("test")
        images = measure_images(module, as_batches(test, module))[0]
        write_csv(
            file, [dict(zip(images, map(float, values), strict=True)) for values in zip(*images.values(), strict=True)]
        )
    with file.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    return {name: np.array([float(line[name]) for line in table]) for name in table[0]}


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
        rows = [] if given.rows == list(ROWS) else ["--rows", *given.rows]
        words = ["--data", given.data, "--seeds", *map(str, given.seeds), *rows, "--folder", given.folder.as_posix()]
        command = shlex.join(["python", "benchmarks/objective.py", *words, "--output", given.output.as_posix()])
        threads = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
        given.output.write_text(
            f"`{command}`\n\n{threads}; 95 % bootstrap interval over images and seeds.\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
