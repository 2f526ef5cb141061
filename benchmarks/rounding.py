"""Effect of rounding on a training, and hence the resolution with which two reblurring operators can be compared.

    python benchmarks/rounding.py [--draws 8] [--seed 0] [--forms native reference]

The demonstration's row ``jdrl`` is trained repeatedly, with each initial weight multiplied by 1 ± 2⁻²³, one unit of
rounding. ``native``: the operator in C++; ``reference``: in PyTorch (``reblur/reference.py``). Results already in
``--folder`` are not trained again, so two processes with one form each use two cores.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import ttest_ind

from jdrl_lightning import build
from jdrl_lightning.demo.comparison import QUIET, as_batches, measure_images, train_row
from jdrl_lightning.demo.rows import METHODS
from jdrl_lightning.reblur import custom_op, reference
from objective import composed

FORMS = ("native", "reference")


def main() -> None:
    """Train what is missing and compare the forms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--forms", nargs="+", default=FORMS, choices=FORMS)
    parser.add_argument("--folder", type=Path, default=Path("outputs/rounding"))
    given = parser.parse_args()
    if given.draws < 2:
        parser.error("--draws must be at least 2: one training does not show how far two differ")
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    given.folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[float]] = {form: [] for form in given.forms}
    for draw in range(given.draws):
        for form in given.forms:
            started = time.monotonic()
            file = given.folder / f"seed{given.seed}_{form}_{draw}.txt"
            if not file.exists():
                file.write_text(repr(trained(form, draw, given.seed)))
            found[form].append(float(file.read_text()))
            print(f"{form} {draw}: {found[form][-1]:.3f} dB, {time.monotonic() - started:.0f} s", flush=True)
    report(found)


def trained(form: str, draw: int, seed: int) -> float:
    """PSNR, dB, mean of the test images, after a training."""
    build_module, fast_kernel = build.module, custom_op._fast_kernel

    def moved(config: dict[str, Any]) -> Any:
        module = build_module(config)
        noise = torch.Generator().manual_seed(draw)
        with torch.no_grad():
            for weight in module.parameters():
                weight *= 1 + 2.0**-23 * (2 * torch.randint(2, weight.shape, generator=noise) - 1).double()
        return module

    build.module = moved
    custom_op._fast_kernel = fast_kernel if form == "native" else lambda *_: reference
    settings = [f"seed={seed}", *QUIET, *METHODS["jdrl"]]
    try:
        with tempfile.TemporaryDirectory() as run:
            module = train_row(composed(Path(run), settings), Path(run))[0]
            test = build.datamodule(composed(Path(run), settings)).pairs("test")
    finally:
        build.module, custom_op._fast_kernel = build_module, fast_kernel
    return float(measure_images(module, as_batches(test))[0]["psnr"].mean())


def report(found: dict[str, list[float]]) -> None:
    """Print each form's mean and spread, and how far the means are apart (Welch's interval)."""
    print("| operator | PSNR, dB: mean | standard deviation | least | greatest |\n|---|---:|---:|---:|---:|")
    for form, psnr in found.items():
        print(f"| {form} | {np.mean(psnr):.3f} | {np.std(psnr, ddof=1):.3f} | {min(psnr):.3f} | {max(psnr):.3f} |")
    if len(found) == 2:
        first, second = found.values()
        low, high = ttest_ind(first, second, equal_var=False).confidence_interval()
        apart = np.mean(first) - np.mean(second)
        print(f"\nthe means are {apart:+.3f} dB apart, 95 % interval {low:+.3f} to {high:+.3f}")


if __name__ == "__main__":
    main()
