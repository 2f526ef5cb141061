"""End-point error and time of flow estimators: ``python benchmarks/flow.py [--flow NAME …] [--output FILE]``

Settings follow an estimator's name: ``--flow gauss_newton dis raft_small,weights=FILE,iterations=20``.

Photographs of scikit-image, 256×256 crops (content enters and leaves the frame): zoom ±3 %, shift ±8 px per axis and a
smooth non-rigid part of .3 to 1.5 px; the first image may be blurred by a disc (``varying``: radius 0 to 6 px over the
image); noise σ = 1/255 on both. Images are rendered with cubic splines (SciPy), not with the package's own warp.
End-point errors cover pixels whose match lies in the frame, 8 px from the border. Content that enters the frame is the
photograph's own, except at its edges, where it is mirrored. Time: forward on 4×3×128×128, median.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import platform
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import skimage
import torch
from scipy.ndimage import map_coordinates, zoom
from scipy.signal import fftconvolve
from skimage import color, data
from torch import Tensor

from jdrl_lightning import flow as flows
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import in_frame

SIZE, MARGIN, BORDER = 256, 16, 8
PHOTOS = ["astronaut", "coffee", "chelsea", "rocket", "camera", "gravel", "immunohistochemistry", "brick"]
BLURS: dict[str, float | None] = {"sharp": 0.0, "disc 3": 3.0, "disc 6": 6.0, "varying": None}


def photograph(name: str) -> np.ndarray:
    """RGB in [0, 1], ``(H, W, 3)``."""
    image = getattr(data, name)() / 255.0
    return color.gray2rgb(image) if image.ndim == 2 else image


def disc(radius: float) -> np.ndarray:
    """Anti-aliased disc of ``radius`` pixels that sums to one."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return kernel / kernel.sum()


def blurred(image: np.ndarray, radius: float) -> np.ndarray:
    """``image`` ``(H, W, 3)`` under a disc; its border is cut off later."""
    if radius < 0.5:
        return image
    return np.stack([fftconvolve(image[..., c], disc(radius), mode="same") for c in range(3)], axis=-1)


def defocused(image: np.ndarray, radius: float | None, rng: np.random.Generator) -> np.ndarray:
    """Disc blur of one radius, or of a smooth map of radii from 0 to 6 px, between whole radii by blending."""
    if radius is not None:
        return blurred(image, radius)
    shape = image.shape[:2]
    field = smooth_field(rng, shape)
    radii = 6 * (field - field.min()) / np.ptp(field)
    stack = [blurred(image, r) for r in range(7)]
    weights = [np.clip(1 - np.abs(radii - r), 0, 1)[..., None] for r in range(7)]
    return sum((w * layer for w, layer in zip(weights, stack, strict=True)), start=np.zeros_like(image))


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """A cubic spline through 4×4 random knots in [-1, 1]."""
    return zoom(rng.uniform(-1, 1, (4, 4)), (shape[0] / 4, shape[1] / 4), order=3, mode="nearest", grid_mode=True)


def rendered(name: str, blur: float | None, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """``first``, ``second`` ``(1, 3, S, S)`` and the true flow ``(1, 2, S, S)`` between them."""
    rng = np.random.default_rng(seed)
    image = photograph(name)
    height, width = image.shape[:2]
    top, left = (rng.integers(0, side - SIZE + 1) for side in (height, width))
    wide = SIZE + 2 * MARGIN
    y, x = np.mgrid[:wide, :wide] - MARGIN
    scale, amplitude = rng.uniform(-0.03, 0.03), rng.uniform(0.3, 1.5)
    dx, dy = (rng.uniform(-8, 8) + amplitude * smooth_field(rng, x.shape) for _ in range(2))
    dx, dy = dx + scale * (x - SIZE / 2), dy + scale * (y - SIZE / 2)
    places = np.stack([y + dy + top, x + dx + left])
    moved = np.stack([map_coordinates(image[..., c], places, order=3, mode="mirror") for c in range(3)], axis=-1)
    inner = slice(MARGIN, MARGIN + SIZE)
    first = defocused(moved, blur, rng)[inner, inner]
    second = image[top : top + SIZE, left : left + SIZE]
    pictures = (np.clip(p + rng.normal(0, 1 / 255, p.shape), 0, 1) for p in (first, second))
    one, two = (torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in pictures)
    return one, two, torch.from_numpy(np.stack([dx, dy])[:, inner, inner])[None].float()


def errors(found: Tensor, truth: Tensor) -> Tensor:
    """End-point errors in pixels, of the pixels that count."""
    kept = in_frame(truth)[0, 0].bool()
    inner = torch.zeros_like(kept)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    return (found - truth).norm(dim=1)[0][kept & inner]


def milliseconds(estimator: FlowEstimator, blur: float | None, repeats: int) -> float:
    """Median wall time of one call on a batch of four crops, 128×128."""
    first, second, _ = (
        torch.cat(parts)[..., :128, :128] for parts in zip(*(rendered(n, blur, 0) for n in PHOTOS[:4]), strict=True)
    )
    estimator(first, second)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        estimator(first, second)
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def estimator(wish: str) -> FlowEstimator:
    """``name`` or ``name,setting=value,…``; a value of digits is a number."""
    name, *settings = wish.split(",")
    pairs = (setting.split("=", 1) for setting in settings)
    return flows.create(name, **{key: int(value) if value.isdigit() else value for key, value in pairs})


def main(arguments: list[str] | None = None) -> None:
    """Print the table, a line for each blur level and estimator; write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", nargs="+", default=["gauss_newton"], help=f"estimators: {', '.join(flows.names())}")
    parser.add_argument("--warps", type=int, default=2, help="warps of each photograph")
    parser.add_argument("--photos", nargs="+", default=PHOTOS, choices=PHOTOS)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7, help="timed calls")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    if importlib.util.find_spec("cv2"):
        importlib.import_module("cv2").setNumThreads(given.threads)
    estimators = {wish: estimator(wish) for wish in given.flow}
    lines = [
        f"`python benchmarks/flow.py {' '.join(sys.argv[1:] if arguments is None else arguments)}".rstrip() + "`",
        "",
        f"{given.warps * len(given.photos)} pairs a line, {SIZE}×{SIZE}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, scikit-image {skimage.__version__}, "
        f"threads: {given.threads}.",
        "",
        "| first image | estimator | median, px | 95th percentile, px | worst pair's mean, px | ms for 4×3×128×128 |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for label, blur in BLURS.items():
        pooled: dict[str, list[Tensor]] = {wish: [] for wish in estimators}
        means: dict[str, list[tuple[float, str]]] = {wish: [] for wish in estimators}
        for number in range(given.warps):
            for index, name in enumerate(given.photos):
                first, second, truth = rendered(name, blur, given.seed + 100 * number + index)
                for wish, estimate in estimators.items():
                    found = errors(estimate(first, second), truth)
                    pooled[wish].append(found[::7])
                    means[wish].append((float(found.mean()), name))
        for wish, estimate in estimators.items():
            every = torch.cat(pooled[wish])
            worst, name = max(means[wish])
            spent = milliseconds(estimate, blur, given.repeats)
            lines.append(
                f"| {label} | {wish} | {every.median():.3f} | {every.quantile(0.95):.2f} | {worst:.2f} ({name}) "
                f"| {spent:.0f} |"
            )
    table = "\n".join(lines)
    print(table)
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(table + "\n")


if __name__ == "__main__":
    main()
