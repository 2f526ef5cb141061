"""What the deformed-GT figure depends on: ``python benchmarks/deformed_gt.py [--frames N] [--output FILE]``

On the rendered test photographs of ``data=photos`` (seed 0), whose true flow and aligned sharp image are known.

First: PSNR of an output against the sharp image warped onto it by estimated flow, minus the same by true flow: what the
estimator adds (above 0) or takes away (below 0). Outputs: the blurry image, its mean with the ground truth, the ground
truth. ``free`` is scikit-image's TV-L1 with default settings at full resolution, which is not one of our estimators.

Second: one output, the mean of the blurry image and the aligned sharp image, displaced to the right step by step
(quintic splines of SciPy) while the sharp image stays. PSNR against the sharp image as given drops; against the
deformed one it should at best stay the same. ``known`` uses the displacement itself instead of an estimate.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from kornia.color import rgb_to_grayscale
from scipy.ndimage import shift
from skimage.registration import optical_flow_tvl1
from torch import Tensor

from jdrl_lightning import data, flow
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics import placement_error, psnr
from jdrl_lightning.metrics.protocols import WARPS, deformed
from jdrl_lightning.types import to_float

BORDER = 8  # px at each side that are not measured in the second table: splines mirror there
DISPLACEMENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


class Free(FlowEstimator):
    """scikit-image's TV-L1 with its defaults, on grey at full resolution."""

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        rows, columns = optical_flow_tvl1(*(rgb_to_grayscale(image)[0, 0].numpy() for image in (first, second)))
        return torch.from_numpy(np.stack([columns, rows]))[None].float()


def constant(dx: float) -> Callable[[Tensor, Tensor], Tensor]:
    """The flow that points ``dx`` px to the right everywhere."""
    return lambda first, second: torch.tensor([dx, 0.0]).view(1, 2, 1, 1).expand(1, 2, *first.shape[-2:])


def displaced(image: Tensor, dx: float) -> Tensor:
    """``image`` with its content moved ``dx`` px to the right."""
    return torch.from_numpy(shift(image.double().numpy(), (0, 0, 0, dx), order=5, mode="mirror")).float().clamp(0, 1)


def given_away(pairs: list[dict[str, Tensor]], estimators: dict[str, Any]) -> list[str]:
    """The first table."""
    lines = ["| output | estimator | mean, dB | standard deviation, dB |", "|---|---|---:|---:|"]
    for name, output in OUTPUTS.items():
        for key, estimate in estimators.items():
            gains = []
            for pair in pairs:
                found = psnr(output(pair), deformed(pair["sharp"], output(pair), estimate))
                true = psnr(output(pair), deformed(pair["sharp"], output(pair), lambda a, b, pair=pair: pair["flow"]))
                gains.append(float(found - true))
            lines.append(f"| {name} | {key} | {np.mean(gains):+.2f} | {np.std(gains):.2f} |")
    return lines


def rewarded(pairs: list[dict[str, Tensor]], estimator: FlowEstimator) -> list[str]:
    """The second table."""
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    lines = [
        f"| displaced by, px | GT | {' | '.join(f'deformed GT, {w}, {k}' for k in ('known', 'tvl1') for w in WARPS)} "
        "| placement error, px |",
        "|---:" * (3 + 2 * len(WARPS)) + "|",
    ]
    for dx in DISPLACEMENTS:
        columns = []
        for pair in pairs:
            truth, output = pair["aligned"], displaced(OUTPUTS["halfway"](pair), dx)
            references = [truth]
            references += [deformed(truth, output, f, w) for f in (constant(-dx), estimator) for w in WARPS]
            figures = [float(psnr(output[inner], reference[inner])) for reference in references]
            columns.append([*figures, float(placement_error(output, truth).rms)])
        *decibels, px = np.mean(columns, axis=0)
        lines.append(f"| {dx:.2f} | {' | '.join(f'{value:.2f}' for value in decibels)} | {px:.2f} |")
    return lines


OUTPUTS: dict[str, Callable[[dict[str, Tensor]], Tensor]] = {
    "blurry": lambda pair: pair["blurry"],
    "halfway": lambda pair: (pair["blurry"] + pair["aligned"]) / 2,
    "truth": lambda pair: pair["aligned"],
}


def main(arguments: list[str] | None = None) -> None:
    """Print both tables; write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=4, help="frames of each of the three photographs")
    parser.add_argument("--output", type=Path, help="Markdown file to write the tables to")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    frames = data.create("photos", split="test", seed=0, crop=None, frames_per_photo={"test": given.frames})
    pairs = []
    for index in range(len(frames)):
        pair = frames[index]
        images = {"blurry": pair.blurry, "sharp": pair.sharp, **pair.extras}
        pairs.append({key: to_float(image)[None] for key, image in images.items()})
    names = ["tvl1", "gauss_newton", *(["dis"] if importlib.util.find_spec("cv2") else [])]
    estimators: dict[str, Any] = {name: flow.create(name) for name in names} | {"free": Free()}
    command = f"`python benchmarks/deformed_gt.py {' '.join(sys.argv[1:] if arguments is None else arguments)}".rstrip()
    table = [f"{command}`: {len(pairs)} images.", "", *given_away(pairs, estimators), ""]
    text = "\n".join([*table, *rewarded(pairs, estimators["tvl1"]), ""])
    print(text)
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(text)


if __name__ == "__main__":
    main()
