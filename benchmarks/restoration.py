"""What does a restoring network make of photographs it has not seen?

    python benchmarks/restoration.py --photographs photographs/test [--stack focus_stack] [--weights FILE]

Rendered frames (256 px, two of each photograph, seed 7) with the default and the varied camera, the default test
frames, sharp photographs as input, a real focus stack (its frames and ``fused.jpg``), and the time of twelve
megapixels. Intervals are 95 % over photographs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import jdrl_lightning
from defocus_maps import correlation, ranks
from jdrl_lightning import flow, metrics
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.photographs import Photograph, all_in_folder, from_scikit_image
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.metrics.report import bootstrap_interval
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.types import to_float
from stack_frames import read_reduced

STACK_SIDE = 1024  # px; a stack's frames are reduced to it
MEGAPIXELS = (3000, 4000)  # height, width
REACH_PX = (1.5, 8.5)  # radii: less is hardly blurred; of more, the largest disc that is tried, 9 px, says only "large"
MAP_ERROR_PX = 0.5  # of the map that shows what a rank correlation can be expected to be


class Frame(NamedTuple):
    """One frame: PSNR gained, its SSIM and MAE before and after, and how good its map and a nearly true one are."""

    photograph: str
    gain: float
    ssim: tuple[float, float]
    mae: tuple[float, float]
    map_rank: float
    nearly_true_rank: float
    map_rmse: float


def rendered(restorer: Restorer, photographs: Sequence[Photograph], camera: str, count: int, seed: int) -> list[Frame]:
    """``count`` frames of each photograph."""
    pairs = RenderedPairs(photographs, seed, count, optics=[CAMERAS[camera]])
    frames = []
    for index in range(len(pairs)):
        pair = pairs.render(index)
        blurry, aligned = (to_float(image)[None] for image in (pair.blurry, pair.extras["aligned"]))
        restored, radius = restorer.restore(blurry[0])[None], restorer.blur_map(blurry[0])
        true = pair.extras["coc"][0]
        noise = MAP_ERROR_PX * torch.randn(true.shape, generator=torch.Generator().manual_seed(index))
        same = float(true.std()) == 0 or float(radius.std()) == 0
        frames.append(
            Frame(
                photographs[index % len(photographs)].name,
                float(metrics.psnr(restored, aligned) - metrics.psnr(blurry, aligned)),
                (float(metrics.ssim(blurry, aligned)), float(metrics.ssim(restored, aligned))),
                (float(metrics.mae(blurry, aligned)), float(metrics.mae(restored, aligned))),
                float("nan") if same else correlation(ranks(radius), ranks(true)),
                float("nan") if same else correlation(ranks(true + noise), ranks(true)),
                float((radius - true).square().mean().sqrt()),
            )
        )
    return frames


def table_row(title: str, frames: Sequence[Frame]) -> str:
    """A row of the table."""
    names = sorted({frame.photograph for frame in frames})
    means = [statistics.mean(f.gain for f in frames if f.photograph == name) for name in names]
    low, high = bootstrap_interval(means)
    before, after = zip(*(f.ssim for f in frames), strict=True)
    error, left = zip(*(f.mae for f in frames), strict=True)
    ranked, nearly_true = (
        statistics.mean(value for value in values if value == value)
        for values in zip(*((f.map_rank, f.nearly_true_rank) for f in frames), strict=True)
    )
    return (
        f"| {title} | {statistics.mean(f.gain for f in frames):+.2f} ({low:.2f} to {high:.2f}) | "
        f"{min(f.gain for f in frames):+.2f} | {statistics.mean(before):.4f} → {statistics.mean(after):.4f} | "
        f"{statistics.mean(error):.4f} → {statistics.mean(left):.4f} | {ranked:.2f} ({nearly_true:.2f}) | "
        f"{statistics.mean(f.map_rmse for f in frames):.2f} |"
    )


def sharp(restorer: Restorer, photographs: Sequence[Photograph]) -> list[float]:
    """PSNR of restored sharp photographs against themselves."""
    images = [photograph.load() for photograph in photographs]
    return [float(metrics.psnr(restorer.restore(image)[None], image[None])) for image in images]


class StackFrame(NamedTuple):
    """A frame of a real stack: the gain against ``fused.jpg`` brought onto it, dB, and how far restoring moved it, px.

    Also the gain where the frame is blurred within reach, and the share of its squared error where it is more blurred.
    """

    name: str
    gain: float
    moved_px: float
    gain_in_reach: float
    error_beyond: float


def stack(restorer: Restorer, folder: Path) -> list[StackFrame]:
    """Each frame of the folder; how blurred it is, says the disc that makes it of the fused picture."""
    estimate, found = flow.create("gauss_newton"), []
    fused = read_reduced(folder / "fused.jpg", STACK_SIDE)
    for file in sorted(folder.glob("frame_*")):
        blurry = read_reduced(file, STACK_SIDE)
        moved = estimate(blurry, fused)
        target, seen = warp(fused, moved), in_frame(moved)
        restored = restorer.restore(blurry[0])[None]
        errors = [((image - target).square().sum(1, keepdim=True) * seen) for image in (blurry, restored)]
        radius, known = matched_radius(target, blurry)
        beyond = known * (radius > REACH_PX[1])
        found.append(
            StackFrame(
                file.stem,
                gain(errors, seen),
                float(metrics.placement_error(restored, blurry).rms),
                gain(errors, known * (radius > REACH_PX[0]) * (radius <= REACH_PX[1])),
                float((errors[0] * beyond).sum() / errors[0].sum()),
            )
        )
    return found


def gain(errors: Sequence[Tensor], area: Tensor) -> float:
    """By how many dB the second squared error is smaller where ``area`` is 1."""
    before, after = ((error * area).sum() for error in errors)
    return float(10 * (before / after).log10())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--stack", type=Path)
    parser.add_argument("--weights", help="of backbone=compact; default: those of the package")
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    restorer = jdrl_lightning.load(settings.weights, backbone="compact") if settings.weights else jdrl_lightning.load()
    photographs = all_in_folder(settings.photographs)
    print("| frames | gain, dB (95 %) | worst | SSIM | MAE | map's rank correlation (true ± 0.5 px) | map's RMSE, px |")
    print("|---|---|---:|---|---|---:|---:|")
    print(table_row("photographs, default camera", rendered(restorer, photographs, "default", 2, 7)), flush=True)
    print(table_row("photographs, camera=varied", rendered(restorer, photographs, "varied", 2, 7)), flush=True)
    print(table_row("default test frames", rendered(restorer, from_scikit_image("test"), "default", 8, 0)), flush=True)
    kept = sharp(restorer, photographs)
    print(f"\nsharp photographs: {statistics.mean(kept):.1f} dB, worst {min(kept):.1f}", flush=True)
    if settings.stack:
        frames = stack(restorer, settings.stack)
        means = [frame.gain for frame in frames]
        low, high = bootstrap_interval(means)
        print(f"\n{settings.stack.name}: {statistics.mean(means):+.2f} dB ({low:+.2f} to {high:+.2f})\n")
        reach = f"where the blur is {REACH_PX[0]} to {REACH_PX[1]} px"
        print(f"| frame | gain, dB | {reach}, dB | error beyond | moved, px |\n|---|---:|---:|---:|---:|")
        for name, whole, moved, within, beyond in frames:
            print(f"| {name} | {whole:+.2f} | {within:+.2f} | {100 * beyond:.0f} % | {moved:.3f} |", flush=True)
    image = F.interpolate(photographs[0].load()[None], MEGAPIXELS, mode="bilinear", antialias=True)[0]
    start, used = time.perf_counter(), time.process_time()
    restorer.restore(image)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\n12 megapixels: {time.perf_counter() - start:.0f} s, {time.process_time() - used:.0f} s of processor, "
          f"{settings.threads} threads; peak memory of this process {memory:.1f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
