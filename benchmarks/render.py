"""What does a rendered frame cost, and is it the same? ``python benchmarks/render.py --photographs my_photographs``

Frames of 256 px, one thread; ours and the plain form of ``render_reference.py`` take turns, so that both meet the same
load, and are compared frame by frame. Processor time, decoding of the photographs included. Each goes once through all
photographs first, which fills its memory. The plain form has only the default camera: with another one ours is timed
against it, but draws something else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision.io  # noqa: F401  # which the varied camera's first JPEG would load

from jdrl_lightning.data.synthetic.camera import CAMERAS, Optics
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import Photograph, all_in_folder, from_scikit_image
from jdrl_lightning.types import Pair
from render_reference import Pixels
from render_reference import render as reference


class Difference(NamedTuple):
    """From the reference: the largest, 8-bit levels; the shares of values that differ, and by more than one level."""

    largest: int
    differ: float
    by_more: float


def compare(ours: torch.Tensor, theirs: torch.Tensor) -> Difference:
    """Two uint8 pictures of one shape."""
    levels = (ours.int() - theirs.int()).abs()
    return Difference(int(levels.max()), float((levels > 0).float().mean()), float((levels > 1).float().mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="folder of photographs; without it scikit-image's")
    parser.add_argument("--frames", type=int, default=30, help="frames that are timed")
    parser.add_argument("--misalignment", default="nonrigid")
    parser.add_argument("--camera", default="default", choices=CAMERAS)
    parser.add_argument(
        "--device", type=torch.device, default="cpu", help="cuda: ours renders there; wall time instead"
    )
    settings = parser.parse_args()
    torch.set_num_threads(1)
    photographs: list[Photograph] = (
        all_in_folder(settings.photographs) if settings.photographs else from_scikit_image("train")
    )
    misalignment = preset(settings.misalignment)
    ours = RenderedPairs(photographs, 0, 10**6, optics=[CAMERAS[settings.camera]], misalignment=misalignment)
    ours.device = settings.device
    clock = time.process_time if settings.device.type == "cpu" else time.perf_counter
    pixels = Pixels(photographs)

    def theirs(index: int) -> Pair:
        variant, which = divmod(index, len(photographs))
        photo = pixels[which]
        size = min(256, photo.shape[1] // 2), min(256, photo.shape[2] // 2)
        return reference((0, photographs[which].key, variant), photo, pixels, size, Optics(), misalignment, "")

    for which in range(len(photographs)):
        ours._pixels.on(ours.device)[which]
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    differences: dict[str, list[Difference]] = {"blurry": [], "sharp": []}
    exact = True
    for index in range(len(photographs), len(photographs) + settings.frames):
        pairs = {}
        for name, render in (("ours", ours.render), ("reference", theirs)):
            start = clock()
            pairs[name] = render(index)
            times[name].append(clock() - start)
        mine, other = pairs["ours"], pairs["reference"]
        differences["blurry"].append(compare(mine.blurry, other.blurry))
        differences["sharp"].append(compare(mine.sharp, other.sharp))
        exact &= all(torch.equal(mine.extras[key], other.extras[key]) for key in ("aligned", "flow", "coc"))
    print(f"{len(photographs)} photographs, {settings.frames} frames, misalignment={settings.misalignment}")
    for name, seconds in times.items():
        print(f"{name:9} {1000 * statistics.mean(seconds):6.0f} ms a frame")
    print(f"ratio {sum(times['reference']) / sum(times['ours']):.1f}")
    if settings.camera != "default":
        return
    print(f"aligned, flow and coc exactly equal: {exact}")
    for name, found in differences.items():
        differ, by_more = (statistics.mean(getattr(d, key) for d in found) for key in ("differ", "by_more"))
        print(f"{name:6} differs in {differ:.2%} of the values, by more than a level in {by_more:.4%}, "
              f"at most by {max(d.largest for d in found)}")  # fmt: skip


if __name__ == "__main__":
    main()
