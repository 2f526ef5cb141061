"""README's command on nine pairs of one's own: ``python benchmarks/own_pairs.py --photographs DIR``

Nine pairs, rendered from nine photographs as a mirror lens takes them, which the shipped network does not know, and as
far apart as a focus stack's, are written to a folder as a person would have them. ``experiment=finetune`` trains on
them; what it leaves restores two frames of each of the other photographs, taken with the same lens, and is compared
with the ground truth, beside the shipped network as it is. Times are of the whole command, on all cores.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

import jdrl_lightning
from jdrl_lightning import metrics
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import PRESETS
from jdrl_lightning.data.synthetic.photographs import Photograph, all_in_folder
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.io.image import write_image
from jdrl_lightning.metrics.report import bootstrap_interval
from jdrl_lightning.types import Pair, to_float

PAIRS, FRAME = 9, 512
COMMAND = "train experiment=finetune data=folder data.root=my_pairs"  # README.md's
TEST_SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True, help="nine for pairs, the others to test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    photographs = all_in_folder(given.photographs)
    test = rendered(photographs[PAIRS:], TEST_SEED, 2)
    shipped = gains(jdrl_lightning.load(), test)
    print("| pairs | seconds | over the input, dB | over the shipped network, dB |\n|---|---:|---|---|", flush=True)
    print(f"| none: the network as shipped | | {interval(shipped)} | |", flush=True)
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as folder:
            write_pairs(rendered(photographs[:PAIRS], seed, 1), Path(folder) / "my_pairs")
            seconds = train(Path(folder), seed)
            own = gains(jdrl_lightning.load(next(Path(folder).glob("outputs/finetune/*/checkpoints/best.ckpt"))), test)
        more = [after - before for after, before in zip(own, shipped, strict=True)]
        print(f"| nine, seed {seed} | {seconds:.0f} | {interval(own)} | {interval(more)} |", flush=True)


def rendered(photographs: Sequence[Photograph], seed: int, count: int) -> list[Pair]:
    """``count`` frames of each."""
    optics, misalignment = [CAMERAS["mirror"]], PRESETS["stack"]
    pairs = RenderedPairs(photographs, seed, count, frame=FRAME, optics=optics, misalignment=misalignment)
    return [pairs[index] for index in range(len(pairs))]


def write_pairs(pairs: Sequence[Pair], folder: Path) -> None:
    """``blur/`` and ``gt/`` under ``folder``."""
    for name in ("blur", "gt"):
        (folder / name).mkdir(parents=True)
    for number, pair in enumerate(pairs, 1):
        for name, image in (("blur", pair.blurry), ("gt", pair.sharp)):
            write_image(folder / name / f"{number:03}.png", image)


def train(folder: Path, seed: int) -> float:
    """Run the command in ``folder``; its seconds."""
    started = time.monotonic()
    command = [sys.executable, "-m", *f"jdrl_lightning.{COMMAND} seed={seed}".split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.monotonic() - started


def gains(restorer: Restorer, pairs: Sequence[Pair]) -> list[float]:
    """PSNR against the truth that restoring adds, dB; a figure for each photograph."""
    each: dict[str, list[float]] = {}
    for pair in pairs:
        blurry, truth = (to_float(image)[None] for image in (pair.blurry, pair.extras["aligned"]))
        with torch.inference_mode():
            gain = metrics.psnr(restorer.restore(blurry[0])[None], truth) - metrics.psnr(blurry, truth)
        each.setdefault(str(pair.name).rpartition("_")[0], []).append(float(gain))
    return [statistics.mean(values) for values in each.values()]


def interval(values: Sequence[float]) -> str:
    """Mean and its 95 % interval over photographs."""
    low, high = bootstrap_interval(values)
    return f"{statistics.mean(values):+.2f} ({low:+.2f} to {high:+.2f})"


if __name__ == "__main__":
    main()
