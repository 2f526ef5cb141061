"""End-point error and time of a flow estimator: ``python benchmarks/flow.py [--flow gauss_newton] [--warps 2]``

Photographs of scikit-image, 256×256 crops (content enters and leaves the frame): zoom ±3 %, shift ±8 px per axis and a
smooth non-rigid part of .3 to 1.5 px; the first image may be blurred by a disc (``varying``: radius 0 to 6 px over the
picture); noise σ = 1/255 on both. Positions are rendered with cubic splines (SciPy), not with the package's own warp.
End-point errors are over the pixels whose partner lies in the frame, 8 px from the border.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from scipy.ndimage import map_coordinates, zoom
from scipy.signal import fftconvolve
from skimage import color, data
from torch import Tensor

from jdrl_lightning import flow as flows
from jdrl_lightning.flow.warp import in_frame

SIZE, MARGIN, BORDER = 256, 16, 8
PHOTOS = "astronaut coffee chelsea stereo_motorcycle rocket camera gravel immunohistochemistry".split()
BLURS: dict[str, float | None] = {"sharp": 0.0, "disc 3": 3.0, "disc 6": 6.0, "varying": None}


def photograph(name: str) -> np.ndarray:
    """RGB in [0, 1], ``(H, W, 3)``."""
    image = getattr(data, name)()
    image = (image[0] if isinstance(image, tuple) else image) / 255.0
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


def main() -> None:
    """Print one line a blur level, then the time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flow", default="gauss_newton", choices=flows.names())
    parser.add_argument("--warps", type=int, default=2, help="warps of each photograph")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=7, help="timed calls on 4×3×128×128")
    given = parser.parse_args()
    estimator = flows.create(given.flow)
    print(f"{given.flow}: {given.warps * len(PHOTOS)} pairs a line; end-point error, px")
    print("| blur | median | 95th percentile | above 1 px, % | worst pair's mean |\n|---|---|---|---|---|")
    for label, blur in BLURS.items():
        pooled, means = [], []
        for number in range(given.warps):
            for index, name in enumerate(PHOTOS):
                first, second, truth = rendered(name, blur, given.seed + 100 * number + index)
                found = errors(estimator(first, second), truth)
                pooled.append(found[::7])
                means.append((float(found.mean()), name))
        every = torch.cat(pooled)
        worst, name = max(means)
        cells = (every.median(), every.quantile(0.95), 100 * (every > 1).float().mean())
        print(f"| {label} | {' | '.join(f'{float(cell):.2f}' for cell in cells)} | {worst:.2f} ({name}) |")
    batch = torch.cat([rendered(name, 3.0, 0)[0][..., :128, :128] for name in PHOTOS[:4]])
    other = batch.roll((1, 2), dims=(2, 3))
    estimator(batch, other)
    taken = []
    for _ in range(given.repeats):
        start = time.perf_counter()
        estimator(batch, other)
        taken.append(1e3 * (time.perf_counter() - start))
    print(f"4×3×128×128: {statistics.median(taken):.0f} ms, {torch.get_num_threads()} threads, torch {torch.__version__}")


if __name__ == "__main__":
    main()
