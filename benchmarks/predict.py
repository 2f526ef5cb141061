"""Time and peak memory of restoring a large image: whole, and in tiles with the settings of ``predict``.

    python benchmarks/predict.py [--network unet] [--height 2160] [--width 4096] [--turns 3] [--only whole default]

Times: all variants take turns in one process, each after one warm-up batch of tiles (which compiles); medians. CPU
time covers all threads. Memory: peak resident set of a separate process for each variant, including Python, torch,
weights and image; ``compact``: as ``default``, with that network in the place of ``--network``. Arithmetic alone: the
time of the convolutions' multiply-adds at the rate of a large matrix product or convolution in float32, measured
here, as a share of the CPU time. The image is random: no network here takes longer for one image than for another.
Use --only to leave out a variant (the whole image, if memory is short). Linux only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from jdrl_lightning import backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.inference.network import ready
from jdrl_lightning.inference.tiles import restore, spans
from resident import resident_mib

OVERLAP = 208  # of conf/predict.yaml


class Form(NamedTuple):
    tile: int | None  # None: the whole image at once, network unchanged
    batch: int = 1
    precision: str = "32-true"
    compile: bool = False
    prepared: bool = True  # False: the network as it is, tile by tile
    network: str | None = None  # None: --network


FORMS = {
    "whole": Form(None),
    "plain": Form(1184, prepared=False),
    "default": Form(1184),
    "small": Form(512),
    "small_4": Form(512, batch=4),
    "bf16": Form(1184, precision="bf16-mixed"),
    "compile": Form(1184, compile=True),
    "compact": Form(1184, network="compact"),
}
NETWORKS = {
    "unet": {"name": "unet"},
    "unet_small": {"name": "unet", "width": 16, "global_residual": True, "dropout": 0.0},
    "compact": {"name": "compact"},
}


def network(name: str) -> Backbone:
    torch.manual_seed(0)
    return backbones.create(**NETWORKS[name]).eval()


def runner(form: Form, name: str) -> Callable[[Tensor], Tensor]:
    """``picture -> restored`` of a variant, with its own network: layouts differ."""
    backbone = network(form.network or name)
    if form.tile is None:
        return lambda picture: backbone(picture).images[0]
    run = ready(backbone, form.precision, form.compile) if form.prepared else lambda tiles: backbone(tiles).images[0]
    return lambda picture: restore(run, picture, form.tile, OVERLAP, backbone.divisor, batch=form.batch)


def tiles(form: Form, height: int, width: int) -> tuple[str, float]:
    """Number and size of the tiles, and their pixels relative to the image's."""
    if form.tile is None:
        return "1", 1.0
    rows, columns = (spans(size, form.tile, OVERLAP, 16) for size in (height, width))
    count, tall, wide = len(rows) * len(columns), rows[0][1], columns[0][1]
    return f"{count} of {wide}×{tall}", count * tall * wide / (height * width)


def warm_up(run: Callable[[Tensor], Tensor], form: Form, height: int, width: int) -> None:
    if form.tile is None:
        run(torch.rand(1, 3, 64, 64))
    else:  # an image of two tiles or one batch, of the same size
        rows, columns = (spans(size, form.tile, OVERLAP, 16)[0][1] for size in (height, width))
        run(torch.rand(form.batch, 3, rows, columns))


def peak_elsewhere(label: str, args: argparse.Namespace) -> float:
    sizes = ["--network", args.network, "--height", str(args.height), "--width", str(args.width)]
    command = [sys.executable, __file__, "--memory-of", label, *sizes]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(run: Callable[[Tensor], Tensor], picture: Tensor) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    run(picture)
    return time.perf_counter() - wall, time.process_time() - processor


def table(args: argparse.Namespace) -> None:
    # 75 MiB that no form should be charged for
    from jdrl_lightning.runtime.counting import multiply_adds
    from roofline import ceilings

    picture = torch.rand(1, 3, args.height, args.width)
    megapixels = args.height * args.width / 1e6
    runs = {label: runner(FORMS[label], args.network) for label in args.only}
    for label, run in runs.items():
        start = time.perf_counter()
        warm_up(run, FORMS[label], args.height, args.width)
        if FORMS[label].compile:
            print(f"{label}: the first tile, with compiling, took {time.perf_counter() - start:.0f} s")
    turns = [{label: seconds(run, picture) for label, run in runs.items()} for _ in range(args.turns)]
    reference, limit = args.only[0], ceilings()
    print(
        f"a large matrix product or convolution does {limit.multiply_adds / 1e9:.1f}·10⁹ multiply-adds in a second of "
        "processor time"
    )
    print(f"\n| form | tiles | work | wall, s | processor, s | arithmetic alone, % | time of {reference} | peak, MiB |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for label in args.only:
        wall, processor = (statistics.median(turn[label][clock] for turn in turns) for clock in (0, 1))
        ratio = statistics.median(turn[label][1] / turn[reference][1] for turn in turns)
        own = network(FORMS[label].network or args.network)
        a_pixel = multiply_adds(lambda own=own: own(torch.rand(1, 3, 64, 64))) / 64**2
        count, work = tiles(FORMS[label], args.height, args.width)
        alone = 1e6 * megapixels * work * a_pixel / limit.multiply_adds / processor
        cells = [f"{work:.2f}", f"{wall:.1f}", f"{processor:.1f}", f"{100 * alone:.0f}", f"{ratio:.2f}"]
        print(f"| {label} | {count} | {' | '.join(cells)} | {peak_elsewhere(label, args):.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="unet")
    parser.add_argument("--height", type=int, default=2160)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=FORMS, default=list(FORMS), help="the first is the reference")
    parser.add_argument("--memory-of", choices=FORMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    with torch.inference_mode():
        if args.memory_of:
            runner(FORMS[args.memory_of], args.network)(torch.rand(1, 3, args.height, args.width))
            print(resident_mib("VmHWM"))
            return
        print(f"$ python {' '.join(sys.argv)}")
        print(
            f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs, "
            f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}; {args.network}, "
            f"{args.width}×{args.height}, overlap {OVERLAP}; {args.turns} turns"
        )
        table(args)


if __name__ == "__main__":
    main()
