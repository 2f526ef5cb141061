"""Which parts of the objective are worth having? ``python benchmarks/objective.py --output table.md``

Trains the demonstration's network with one part changed at a time, on the same pairs, and evaluates whole held-out
images against the ground truth. ``--table parts``: stride, flow, mask, reduction, anchor and reblurring of
``jdrl_quick``, plus the upper bound and the registered pixel-wise row. ``--table paper``: the paper's Table 4, each
part removed from ``jdrl``, plus two rows of our own. The blur that the reblurring network sees is compared with the
true circle of confusion, over all pixels and within 4 px of a depth edge.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning import build
from jdrl_lightning.demo.comparison import QUIET, as_batches, compose_training, measure_images, train_row
from jdrl_lightning.demo.rows import METHODS
from jdrl_lightning.metrics.report import paired_interval, write_csv
from jdrl_lightning.types import Pair

QUICK = METHODS["jdrl"]  # the demonstration's own row: jdrl_quick
FROM_OUTPUT = (*QUICK, "objective.reblur_learns_from=restored")
PARTS: dict[str, tuple[str, ...]] = {
    "jdrl_quick": QUICK,
    "stride=1": (*QUICK, "objective.reblur.stride=1"),
    "stride=2": (*QUICK, "objective.reblur.stride=2"),
    "flow_of=picture": (*QUICK, "objective.flow_of=picture"),
    "flow_of=crop": (*QUICK, "objective.flow_of=crop"),
    "true flow": (*QUICK, "flow=oracle", "objective.flow_of=crop"),
    "anchor=none": (*QUICK, "objective.anchor=none"),
    "mask=none": (*QUICK, "objective.mask=none"),
    "mask=magnitude": (*QUICK, "objective.mask=magnitude"),
    "reduction=mean": (*QUICK, "objective.reduction=mean"),
    "alpha=0": (*QUICK, "objective.alpha=0"),
    "alpha=0.5": (*QUICK, "objective.alpha=0.5"),
    "alpha=0.5, stride=1": (*QUICK, "objective.alpha=0.5", "objective.reblur.stride=1"),
    "alpha=0.5, width=64": (*QUICK, "objective.alpha=0.5", "objective.reblur.width=64"),
    "alpha=1": (*QUICK, "objective.alpha=1"),
    "reblur from output": FROM_OUTPUT,
    "prealign": METHODS["prealign"],
    "aligned_ceiling": METHODS["aligned_ceiling"],
}
BRIEF = ("objective.warmup_epochs=1", "objective.reblur.stride=4", "objective.reblur.width=32")
PAPER = {
    "all": ("objective=jdrl", *BRIEF),
    "#1 pixel-wise": METHODS["charbonnier"],
    "#2 no deformation": ("objective=no_deformation", "flow=none", *BRIEF[1:]),
    "#3 no mask": ("objective=no_mask", *BRIEF),
    "#4 no reblurring": ("objective=no_reblur", "objective.warmup_epochs=1"),
    "#5 free kernels": ("objective=free_kernel", *BRIEF),
    "#6 no weight maps": ("objective=no_weight_maps", *BRIEF),
    "all, reblur from sharp": ("objective=jdrl", *BRIEF, "objective.reblur_learns_from=aligned"),
    "no reverse term": ("objective=no_align_back", *BRIEF),
}
EDGE_PX = 2.0  # a change of the radius within 4 px that is more than a slanted surface's
TABLES = {"parts": PARTS, "paper": PAPER}


def main() -> None:
    """Train and measure every row, seed after seed; results already in ``--folder`` are not trained again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data", default="photos_mirror", help="or photos, leaves")
    parser.add_argument("--table", default="parts", choices=list(TABLES))
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="of the table (default: all)")
    parser.add_argument("--folder", type=Path, default=Path("outputs/objective"), help="results of each training")
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    rows = TABLES[given.table]
    given.rows = given.rows or list(rows)
    if unknown := set(given.rows) - set(rows):
        parser.error(f"--rows {' '.join(sorted(unknown))}: --table {given.table} has {', '.join(rows)}")
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    found: dict[str, list[dict[str, np.ndarray]]] = {}
    for seed in given.seeds:
        for row in given.rows:
            started = time.monotonic()
            found.setdefault(row, []).append(measured(row, rows[row], given.data, seed, given.folder))
            psnr = found[row][-1]["psnr"].mean()
            print(f"seed {seed} {row}: {psnr:.2f} dB, {time.monotonic() - started:.0f} s", flush=True)
        report(found, given)


def measured(row: str, overrides: Sequence[str], data: str, seed: int, folder: Path) -> dict[str, np.ndarray]:
    """Every measure of every test image, read from ``folder`` or, if it is not there, trained for."""
    settings = [f"data={data}", f"seed={seed}"]
    file = folder / f"{data}_seed{seed}_{re.sub('[^a-z0-9.]+', '_', row)}.csv"
    if not file.exists():
        with tempfile.TemporaryDirectory() as run:
            module, _, _ = train_row(composed(Path(run), [*QUIET, *settings, *overrides]), Path(run))
        test = build.datamodule(composed(folder, settings)).pairs("test")
        batches = as_batches(test)
        images, restored = measure_images(module, batches)
        images |= blur_errors(module, batches, restored)
        write_csv(
            file, [dict(zip(images, map(float, values), strict=True)) for values in zip(*images.values(), strict=True)]
        )
    with file.open(newline="") as lines:
        table = list(csv.DictReader(lines))
    return {name: np.array([float(line[name]) for line in table]) for name in table[0]}


@torch.no_grad()
def blur_errors(module: Any, pairs: Sequence[Pair], restored: Sequence[Tensor]) -> dict[str, np.ndarray]:
    """Mean absolute error, px, of the radius that the reblurring network predicts: everywhere, and near depth edges."""
    network = getattr(module.objective, "reblur", None)
    if network is None or network.kernel == "free":
        return {}
    errors: dict[str, list[float]] = {"blur_px": [], "blur_edge_px": []}
    for pair, image in zip(pairs, restored, strict=True):
        truth = pair.extras["coc"]
        error = (network.blur_radius(image[None], pair.blurry) - truth).abs()
        wide = F.max_pool2d(truth, 9, 1, 4) + F.max_pool2d(-truth, 9, 1, 4) > EDGE_PX
        errors["blur_px"].append(float(error.mean()))
        errors["blur_edge_px"].append(float(error[wide].mean()))  # NaN without an edge
    return {name: np.array(values) for name, values in errors.items()}


def composed(run: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The demonstration's config with ``overrides``."""
    return compose_training(run, ["experiment=demo", *overrides])


def report(found: dict[str, list[dict[str, np.ndarray]]], given: argparse.Namespace) -> None:
    """Print the table of the seeds so far, and write it if asked."""
    first = next(iter(found))
    base = np.concatenate([images["psnr"] for images in found[first]])
    lines = [f"| {given.data} | PSNR, dB (each seed) | less {first}, dB | placement, px | blur, px | at edges |"]
    lines.append("|---|---|---|---:|---:|---:|")
    for row, seeds in found.items():
        psnr = [float(images["psnr"].mean()) for images in seeds]
        all_images = np.concatenate([images["psnr"] for images in seeds])
        low, high = paired_interval(all_images.tolist(), base.tolist())
        placement = statistics.mean(float(images["placement_px"].mean()) for images in seeds)
        each = ", ".join(f"{value:.2f}" for value in psnr)
        difference = f"{all_images.mean() - base.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
        blur = [
            f"{np.nanmean(np.concatenate([images[key] for images in seeds])):.2f}" if key in seeds[0] else "–"
            for key in ("blur_px", "blur_edge_px")
        ]
        lines.append(
            f"| {row} | {statistics.mean(psnr):.2f} ({each}) | {difference} | {placement:.3f} | {' | '.join(blur)} |"
        )
    table = "\n".join(lines)
    print(table, flush=True)
    if given.output:
        rows = [] if given.rows == list(TABLES[given.table]) else ["--rows", *given.rows]
        seeds = map(str, given.seeds)
        words = ["--table", given.table, "--data", given.data, "--seeds", *seeds, *rows]
        words += ["--folder", given.folder.as_posix()]
        command = shlex.join(["python", "benchmarks/objective.py", *words, "--output", given.output.as_posix()])
        threads = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
        given.output.write_text(
            f"`{command}`\n\n{threads}; 95 % bootstrap interval over images and seeds.\n\n{table}\n"
        )


if __name__ == "__main__":
    main()
