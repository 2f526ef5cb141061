"""Defocus maps and deconvolution with them: ``python benchmarks/defocus_maps.py --output docs/results/defocus_maps.md``

Rendered test pairs with known circle of confusion. Maps: RMSE, bias, and rank correlation within an image. Restored
images: PSNR against the aligned sharp image. Two rows for comparison: ``flat``, each image's true mean radius
everywhere, shows what the shape of a map is worth; ``true, published form`` is the deconvolution of the published
pipelines (Gaussians, hard blending, no blur matching) with our weight and exponent. Tune weights with ``--split train``
and ``--split val``: a higher one suits the true map, a lower one the estimated maps.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor

from jdrl_lightning import classical, data, metrics
from jdrl_lightning.classical.ebdb import ebdb_map
from jdrl_lightning.classical.jnb import jnb_map
from jdrl_lightning.classical.methods import DMENetMap
from jdrl_lightning.classical.spatial import MapDeconvolution
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.types import to_float

PUBLISHED = "true, published form"
FRAMES = {"train": 3, "val": 6, "test": 8}  # of each photograph
LEGEND = """
`true`: the rendered circle of confusion; `flat`: its mean over the image, everywhere; `true, published form`: Gaussian
kernels, hard blending, no blur matching. RMSE, bias and rank correlation are per image, then averaged; gains are
against the aligned sharp image.
"""


def main() -> None:
    """Measure all maps on all test images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dmenet", type=Path, help="weights of DMENet, to include it")
    parser.add_argument("--split", choices=FRAMES, default="test")
    parser.add_argument(
        "--weight", type=float, default=MapDeconvolution.weight, help="weight of the deconvolution's data term"
    )
    parser.add_argument("--output", type=Path, help="Markdown file to write the tables to")
    given = parser.parse_args()
    torch.set_num_threads(1)
    estimators: dict[str, Callable[[Tensor], Tensor]] = {"ebdb": ebdb_map, "jnb": jnb_map}
    if given.dmenet:
        estimators["dmenet"] = DMENetMap(given.dmenet)
    pairs = data.create("photos", split=given.split, seed=0, crop=None, frames_per_photo=FRAMES)
    ours = classical.create("oracle_map", weight=given.weight)
    published = dataclasses.replace(ours, kernel="gaussian", blend="hard", match=False)
    maps: dict[str, list[tuple[float, float, float]]] = {}
    gains: dict[str, list[float]] = {}
    inputs, seconds = [], dict.fromkeys(estimators, 0.0)
    started = time.monotonic()
    for index in track(range(len(pairs)), description="images"):
        pair = pairs[index]
        blurry, aligned = to_float(pair.blurry)[None], to_float(pair.extras["aligned"])[None]
        true = pair.extras["coc"][None]
        found = {"true": true, PUBLISHED: true, "flat": true.mean().expand_as(true)}
        for name, estimate in estimators.items():
            before = time.monotonic()
            with torch.no_grad():
                found[name] = estimate(blurry)
            seconds[name] += time.monotonic() - before
        inputs.append(float(metrics.psnr(blurry, aligned)))
        for name, radius in found.items():
            rank = math.nan if name == "flat" else correlation(ranks(radius), ranks(true))
            error = radius - true
            maps.setdefault(name, []).append((float(error.square().mean().sqrt()), float(error.mean()), rank))
            restored = (published if name == PUBLISHED else ours)(blurry, radius)
            gains.setdefault(name, []).append(float(metrics.psnr(restored, aligned)) - inputs[-1])
    print(f"{time.monotonic() - started:.0f} s; a map takes " + ", ".join(
        f"{name} {total / len(inputs):.2f} s" for name, total in seconds.items()
    ))  # fmt: skip
    report(maps, gains, inputs, given)


def ranks(values: Tensor) -> Tensor:
    """Of each value among all, equal values sharing their mean rank; float64."""
    _, place, count = values.flatten().unique(return_inverse=True, return_counts=True)
    end = count.cumsum(0).double()
    return ((2 * end - count - 1) / 2)[place]


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's; 0 where one does not vary."""
    first, second = first - first.mean(), second - second.mean()
    size = float(first.norm() * second.norm())
    return float(first @ second) / size if size > 0 else 0.0


def report(
    maps: dict[str, list[tuple[float, float, float]]],
    gains: dict[str, list[float]],
    inputs: list[float],
    given: argparse.Namespace,
) -> None:
    """Print the table, and write it if asked."""
    lines = [
        f"{len(inputs)} rendered {given.split} images (data=photos, seed 0); PSNR of the blurry input "
        f"{statistics.mean(inputs):.2f} dB.",
        "",
        "| map | RMSE, px | bias, px | rank correlation | PSNR, dB | gain over input | worst image | images gained |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, rows in maps.items():
        rmse, bias, rank = (statistics.mean(column) for column in zip(*rows, strict=True))
        gain = gains[name]
        better = sum(g > 0 for g in gain)
        lines.append(
            f"| {name} | {rmse:.2f} | {bias:+.2f} | {'—' if math.isnan(rank) else f'{rank:.2f}'} "
            f"| {statistics.mean(inputs) + statistics.mean(gain):.2f} | {statistics.mean(gain):+.2f} "
            f"| {min(gain):+.2f} | {better} of {len(gain)} |"
        )
    table = "\n".join(lines)
    print(table)
    if given.output:
        asked = f"--split {given.split} --weight {given.weight:g}"
        command = f"python benchmarks/defocus_maps.py {asked} --output {given.output.as_posix()}"
        with atomic_write(given.output, "w") as file:
            file.write(f"`{command}`\n\n{table}\n{LEGEND}")


if __name__ == "__main__":
    main()
