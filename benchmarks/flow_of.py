"""Flow of a crop against a crop of its image's flow: ``python benchmarks/flow_of.py [--flow NAME …] [--output FILE]``

Rendered pairs with known flow (``data=photos``): flow is measured on square crops, as with ``objective.flow_of=crop``,
and on whole images, stored at a quarter of the resolution and cropped, as with ``flow_of=picture``. End-point errors
against the ground truth over all pixels of the same crops, two of each image, including pixels whose match lies outside
the crop. ``of the restored picture``: the same after the shipped network has restored the blurry one, as with
``flow_of=restored``. Then what the joint stage measures, from the output of the shipped network instead of the blurry
crop: from scratch, and starting from the restored image's flow, each with its processor time a crop.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning import build
from jdrl_lightning import flow as flows
from jdrl_lightning.data.augment import augment, collate
from jdrl_lightning.data.augment import crop as crop_of
from jdrl_lightning.data.precomputed_flow import WithFlow
from jdrl_lightning.demo.comparison import compose_training
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import to_float

SIZES = {96: 256, 192: 384, 256: 512}  # side of the crop: side of the image, px
KINDS = ("stack", "nonrigid", "biased", "none")
COLUMNS = {
    "crop": "of the crop", "picture": "of the picture", "sharper": "of the restored picture", "kept": "kept",
    "scratch": "restored, from scratch", "from": "restored, from the picture's",
}  # fmt: skip
TIMES = {"scratch_ms": "from scratch, ms", "from_ms": "from the picture's, ms"}
CROPS = 2  # per image


def main() -> None:
    """Measure, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", nargs="+", default=["gauss_newton"], help="estimators")
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    heads = ["estimator", "crop, px", "picture, px", "misalignment", *COLUMNS.values(), *TIMES.values()]
    lines = [f"| {' | '.join(heads)} |", "|---|---:|---:|---|" + "---:|" * (len(COLUMNS) + len(TIMES))]
    for name in given.flow:
        for crop, frame in SIZES.items():
            for kind in KINDS:
                errors = measured(flows.create(name), crop, frame, kind)
                mean = {key: statistics.mean(values) for key, values in errors.items()}
                cells = [f"{mean[key]:.3f}" for key in COLUMNS] + [f"{mean[key]:.1f}" for key in TIMES]
                lines.append(f"| {name} | {crop} | {frame} | {kind} | {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    if given.output:
        words = ["python benchmarks/flow_of.py --flow", *given.flow, "--output", given.output.as_posix()]
        versions = f"Python {platform.python_version()}, torch {torch.__version__}"
        note = "mean end-point errors, px; `kept`: between the image's flow as measured and as stored."
        given.output.write_text(f"`{' '.join(words)}`\n\n{versions}; {note}\n\n" + "\n".join(lines) + "\n")


def measured(estimator: FlowEstimator, crop: int, frame: int, kind: str) -> dict[str, list[float]]:
    """Mean end-point errors, px, of every crop's flow, of the flow cropped from its image's, and of the output's."""
    settings = [
        f"data.frame={frame}",
        f"data.crop={crop}",
        f"data.misalignment={kind}",
        "data.frames_per_photo.train=2",
    ]
    with tempfile.TemporaryDirectory() as run:
        config = compose_training(Path(run), ["data=photos", *settings])
    restorer, given = build.load(device="cpu"), build.datamodule(config).pairs("train")
    pairs = WithFlow(given, estimator, torch.device("cpu"))
    sharper = WithFlow(given, estimator, torch.device("cpu"), restore=restorer.restore)
    errors: dict[str, list[float]] = defaultdict(list)
    for index in range(len(pairs)):
        whole = pairs[index]
        full = estimator(to_float(whole.blurry)[None], to_float(whole.sharp)[None])[0]
        kept = crop_of(whole, 0, 0, *full.shape[-2:])
        errors["kept"].append(distance(full, kept.extras["there"]))
        for draw in range(CROPS):
            cut = augment(whole, crop, seed=0, epoch=draw, index=index, turn=False)
            better = augment(sharper[index], crop, seed=0, epoch=draw, index=index, turn=False)
            batch = collate([better])
            flow = estimator(to_float(batch.blurry), to_float(batch.sharp))[0]
            errors["crop"].append(distance(flow, cut.extras["flow"]))
            errors["picture"].append(distance(cut.extras["there"], cut.extras["flow"]))
            errors["sharper"].append(distance(better.extras["there"], cut.extras["flow"]))
            restored = restorer.restore(to_float(batch.blurry[0]))[None]
            for key, start in (("scratch", None), ("from", batch.extras["there"])):
                started = time.process_time()
                flow = estimator(restored, to_float(batch.sharp), start)[0]
                errors[f"{key}_ms"].append(1e3 * (time.process_time() - started))
                errors[key].append(distance(flow, cut.extras["flow"]))
    return errors


def distance(flow: Tensor, other: Tensor) -> float:
    """Mean length of the difference of two flows ``(2, H, W)``, px."""
    return float((flow - other).norm(dim=0).mean())


if __name__ == "__main__":
    main()
