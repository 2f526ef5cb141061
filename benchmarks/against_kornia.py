"""Every filter, warp, conversion and augmentation that both this package and kornia have: values and time.

    OMP_NUM_THREADS=1 python benchmarks/against_kornia.py [--turns 9] [--only smooth warp …]

One process, one thread; the two forms take turns. Times are processor time: medians in ms for ours, and the median over
turns of kornia's time divided by ours (above 1: kornia's is slower). ``backward`` rows measure forward and backward and
compare gradients. Rows marked ``=`` are places where the package calls kornia: "ours" is what it would write instead.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable

import kornia
import torch
from torch import Tensor

from kornia_counterparts import CASES, Case

LEAST_SECONDS = 0.02  # of one measurement, so that the clock's resolution does not matter


def seconds(run: Callable[[], Tensor], calls: int) -> float:
    start = time.process_time()
    for _ in range(calls):
        run()
    return (time.process_time() - start) / calls


def measure(case: Case, size: tuple[int, int, int], turns: int) -> tuple[float, str]:
    """Largest difference, and ``ours in ms, kornia's / ours``."""
    torch.manual_seed(0)
    ours, theirs = case.forms(*size)
    difference = float((ours().double() - theirs().double()).abs().max())
    slowest = max(seconds(ours, 1), seconds(theirs, 1))
    calls = max(1, round(LEAST_SECONDS / slowest))
    taken = [(seconds(ours, calls), seconds(theirs, calls)) for _ in range(turns)]
    ratio = statistics.median(b / a for a, b in taken)
    return difference, f"{1000 * statistics.median(a for a, _ in taken):.3g} ms, {ratio:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--only", nargs="+", default=[""], help="rows whose name contains one of these words")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The window will not fit")  # nor do ours keep incomplete patches
    print(f"$ python {' '.join(sys.argv)}")
    print(
        f"kornia {kornia.__version__}, torch {torch.__version__}, Python {platform.python_version()}, "
        f"{os.cpu_count()} CPUs, {torch.backends.cpu.get_cpu_capability()}\n"
    )
    print("| what | kornia's | largest difference | 4×96×96 | 4×256×256 | 1×1120×1680 |")
    print("|---|---|---:|---:|---:|---:|")
    for case in CASES:
        if not any(word in case.what for word in args.only):
            continue
        cells, differences = [], []
        for size in ((4, 96, 96), (4, 256, 256), (1, 1120, 1680)):
            if size[1] > case.largest:
                cells.append("")
                continue
            with torch.set_grad_enabled("backward" in case.what):
                difference, cell = measure(case, size, args.turns)
            differences.append(difference)
            cells.append(cell)
        print(f"| {case.what} | {case.counterpart} | {max(differences):.0e} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
