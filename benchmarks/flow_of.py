"""Flow of a crop against a crop of its image's flow: ``python benchmarks/flow_of.py [--flow NAME …] [--output FILE]``

Rendered pairs with known flow (``data=photos``): flow is measured on square crops, as with ``objective.flow_of=crop``,
and on whole images, stored at a quarter of the resolution and cropped, as with ``flow_of=picture``. End-point errors
against the ground truth over all pixels of the same crops, two of each image, including pixels whose match lies outside
the crop.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
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
KINDS = ("nonrigid", "biased", "none")
CROPS = 2  # per image


def main() -> None:
    """Measure, print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", nargs="+", default=["gauss_newton"], help="estimators")
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    lines = [
        "| estimator | crop, px | picture, px | misalignment | of the crop, px | of the picture, px | kept, px |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for name in given.flow:
        for crop, frame in SIZES.items():
            for kind in KINDS:
                errors = measured(flows.create(name), crop, frame, kind)
                of_crop, of_picture, kept = (statistics.mean(errors[key]) for key in ("crop", "picture", "kept"))
                lines.append(f"| {name} | {crop} | {frame} | {kind} | {of_crop:.3f} | {of_picture:.3f} | {kept:.3f} |")
                print(lines[-1], flush=True)
    if given.output:
        words = ["python benchmarks/flow_of.py --flow", *given.flow, "--output", given.output.as_posix()]
        versions = f"Python {platform.python_version()}, torch {torch.__version__}"
        note = "mean end-point errors; `kept`: between the image's flow as measured and as stored."
        given.output.write_text(f"`{' '.join(words)}`\n\n{versions}; {note}\n\n" + "\n".join(lines) + "\n")


def measured(estimator: FlowEstimator, crop: int, frame: int, kind: str) -> dict[str, list[float]]:
    """Mean end-point errors, px, of every crop's flow and of the flow cropped from its image's."""
    settings = [
        f"data.frame={frame}",
        f"data.crop={crop}",
        f"data.misalignment={kind}",
        "data.frames_per_photo.train=2",
    ]
    with tempfile.TemporaryDirectory() as run:
        config = compose_training(Path(run), ["data=photos", *settings])
    pairs = WithFlow(build.datamodule(config).pairs("train"), estimator, torch.device("cpu"))
    errors: dict[str, list[float]] = defaultdict(list)
    for index in range(len(pairs)):
        whole = pairs[index]
        full = estimator(to_float(whole.blurry)[None], to_float(whole.sharp)[None])[0]
        kept = crop_of(whole, 0, 0, *full.shape[-2:])
        errors["kept"].append(distance(full, kept.extras["there"]))
        for draw in range(CROPS):
            cut = augment(whole, crop, seed=0, epoch=draw, index=index, turn=False)
            batch = collate([cut])
            flow = estimator(to_float(batch.blurry), to_float(batch.sharp))[0]
            errors["crop"].append(distance(flow, cut.extras["flow"]))
            errors["picture"].append(distance(cut.extras["there"], cut.extras["flow"]))
    return errors


def distance(flow: Tensor, other: Tensor) -> float:
    """Mean length of the difference of two flows ``(2, H, W)``, px."""
    return float((flow - other).norm(dim=0).mean())


if __name__ == "__main__":
    main()
