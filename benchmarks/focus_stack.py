"""A fused focus stack against another program's and against enfuse's: ``python benchmarks/focus_stack.py STACK FUSED``

STACK is a folder of frames, FUSED the picture that another program made of them. Each result is brought onto FUSED by
flow and compared at 1024 px of width without a tenth at each border. Halos: the mean difference in brightness, smoothed
by 4 px, within 16 px of edges of depth, and farther away: from FUSED; and from the truth, for frames rendered of discs
in front of a wall. ``own frame``: what is left between the reference frame and the result, blurred as fits best around
each pixel: small if everything is in its place. Without the programs align_image_stack and enfuse their rows are left
out. ``--also`` times another stack.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from skimage.data import astronaut, coffee
from torch import Tensor

from jdrl_lightning import metrics
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.image import image_files, read_image, write_image
from jdrl_lightning.metrics.report import markdown_table
from jdrl_lightning.preparation.stack import fuse_stack
from jdrl_lightning.preparation.stack_fusion import fuse
from jdrl_lightning.preparation.stack_register import reduced, resized_flow, stack_flows
from jdrl_lightning.types import to_float, to_uint

SIDE, BORDER = 1024, 0.1
NEAR_PX, STEP = 16, 1.0  # of an edge of depth: so many frames from one pixel to those around it
COARSE_PX = 4.0
BLURS_PX = (0.0, 0.5, 0.8, 1.2, 1.7, 2.4, 3.4, 4.8, 6.8, 9.6)
PHOTOS = (coffee, astronaut)  # of the near thing and of the far one
ENFUSE = ("--exposure-weight=0", "--saturation-weight=0", "--contrast-weight=1", "--hard-mask")  # of its manual


class Cost(NamedTuple):
    """Wall and processor time, s, and peak memory, GiB, of a command and what it starts."""

    wall: float
    processor: float
    peak: float


def measured(*commands: Sequence[str], folder: Path) -> Cost:
    """Run commands one after the other in ``folder``."""
    wall, processor, peak = 0.0, 0.0, 0.0
    for command in commands:
        start = time.perf_counter()
        with (folder / "log.txt").open("ab") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{command[0]} failed: {(folder / 'log.txt').read_text()[-2000:]}")
        wall += time.perf_counter() - start
        processor += used.ru_utime + used.ru_stime
        peak = max(peak, used.ru_maxrss / 2**20)
    return Cost(wall, processor, peak)


def prepared(stack: Path, pattern: str, folder: Path) -> Cost:
    """``prepare stack`` into ``folder``."""
    words = (f"input={stack.resolve()}", f"output={folder}", f"frames='{pattern}'")
    return measured((sys.executable, "-m", "jdrl_lightning.prepare", "stack", *words), folder=folder.parent)


def enfused(files: Sequence[Path], folder: Path) -> tuple[Tensor, Cost]:
    """What Debian's align_image_stack and enfuse make of the frames, ``(1, 3, H, W)``."""
    names = [str(file.resolve()) for file in files]
    aligned = [f"a{number:04}.tif" for number in range(len(names))]
    cost = measured(
        ("align_image_stack", "-m", "-a", "a", *names), ("enfuse", *ENFUSE, "-o", "e.tif", *aligned), folder=folder
    )
    return to_float(read_image(folder / "e.tif"))[None], cost


def fused_with(frames: Sequence[Tensor], flows: Sequence[Tensor]) -> Tensor:
    """The frames ``(1, 3, H, W)`` fused with these flows."""

    def frame(number: int) -> tuple[Tensor, Tensor]:
        flow = resized_flow(flows[number], *frames[number].shape[-2:])
        return warp(frames[number], flow, mode="grid_bicubic"), in_frame(flow)

    return fuse(frame, len(frames)).image


def compared(result: Tensor, target: Tensor, near: Tensor) -> dict[str, float]:
    """SSIM, PSNR and the difference in brightness; ``target`` and ``near`` at the compared size."""
    ours = reduced(result, SIDE)
    ours = warp(ours, GaussNewton()(target, ours), mode="bicubic").clamp(0, 1)
    ours, target, near = (_interior(image) for image in (ours, target, near))
    difference = (smooth(rgb_to_grayscale(ours), COARSE_PX) - smooth(rgb_to_grayscale(target), COARSE_PX)).abs()
    return {
        "SSIM": float(metrics.ssim(ours, target)),
        "PSNR, dB": float(metrics.psnr(ours, target)),
        "near edges, of 255": 255 * float(difference[near > 0].mean()),
        "elsewhere, of 255": 255 * float(difference[near == 0].mean()),
    }


def occluding(count: int = 5, step_px: float = 2.5) -> tuple[list[Tensor], Tensor, Tensor]:
    """Frames of discs in front of a wall, the first sharp on the discs, the last on the wall; truth; nearness to edges.

    The discs are blurred with their outline, so that they spread over the wall, as in a camera.
    """
    near_photo, far_photo = (
        torch.from_numpy(photo())[None].movedim(3, 1)[..., :400, :512].float() / 255 for photo in PHOTOS
    )
    y, x = torch.meshgrid(torch.arange(400.0), torch.arange(512.0), indexing="ij")
    disc = torch.zeros(1, 1, 400, 512)
    for row in (100, 300):
        for column in (110, 260, 410):
            disc += (torch.hypot(y - row, x - column) < 55).float()
    frames = []
    for number in range(count):
        near, far = step_px * number, step_px * (count - 1 - number)
        frames.append(smooth(near_photo * disc, near) + (1 - smooth(disc, near)) * smooth(far_photo, far))
    truth = near_photo * disc + (1 - disc) * far_photo
    edge = F.max_pool2d(disc, 3, 1, 1) - disc
    return frames, truth, F.max_pool2d(edge, 2 * NEAR_PX + 1, 1, NEAR_PX)


def halos(result: Tensor, truth: Tensor, near: Tensor) -> dict[str, str]:
    """The mean difference in brightness from the truth, of 255, near edges of depth and elsewhere."""
    difference = 255 * smooth(rgb_to_grayscale(result - truth), COARSE_PX).abs()
    return {
        "near edges, of 255": f"{float(difference[near > 0].mean()):.2f}",
        "elsewhere, of 255": f"{float(difference[near == 0].mean()):.2f}",
        "MAE, of 255": f"{255 * float((result - truth).abs().mean()):.2f}",
    }


def unexplained(result: Tensor, frame: Tensor) -> float:
    """Mean difference, of 255, of a frame and the fused picture in its geometry, each pixel with its best blur."""
    best = torch.full_like(frame[:, :1], torch.inf)
    for blur in BLURS_PX:
        best = torch.minimum(best, smooth((frame - smooth(result, blur)).abs().mean(dim=1, keepdim=True), 3.0))
    return 255 * float(_interior(best).mean())


def edges_of_depth(folder: Path) -> Tensor:
    """1 within 16 px, at the compared size, of where the depth that ``prepare stack`` wrote jumps: ``(1, 1, h, w)``."""
    frames = len(list((folder / "frames").iterdir()))
    depth = reduced(to_float(read_image(folder / "depth.png"))[None, :1], SIDE) * (frames - 1)
    step = F.max_pool2d(depth, 5, 1, 2) + F.max_pool2d(-depth, 5, 1, 2)
    return F.max_pool2d((step > STEP).float(), 2 * NEAR_PX + 1, 1, NEAR_PX)


def _interior(image: Tensor) -> Tensor:
    rows, columns = (round(BORDER * side) for side in image.shape[-2:])
    return image[..., rows:-rows, columns:-columns]


def main() -> None:
    """Measure all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    parser.add_argument("fused", type=Path)
    parser.add_argument("--frames", default="frame_*", help="pattern of the frames' names")
    parser.add_argument("--also", type=Path, help="another stack, to be timed")
    parser.add_argument("--keep", type=Path, help="folder for the fused pictures")
    parser.add_argument("--output", type=Path, help="Markdown file to write the tables to")
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = [file for file in image_files(given.stack) if file.match(given.frames)]
    costs, results = {}, {}
    rendered, truth, around = occluding()
    eight_bit = [to_uint(image[0]) for image in rendered]
    stack = fuse_stack(eight_bit, [f"rendered/{number}" for number in range(len(rendered))], len(rendered) // 2)
    edges = [{"rendered frames": "prepare stack"} | halos(stack.image, truth, around)]
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        costs[f"prepare stack, {len(files)} frames"] = prepared(given.stack, given.frames, here / "ours")
        ours = here / "ours" / given.stack.resolve().name
        results["prepare stack"] = to_float(read_image(ours / "sharp.png"))[None]
        target = reduced(to_float(read_image(given.fused))[None], SIDE)
        near = edges_of_depth(ours)
        if shutil.which("align_image_stack") and shutil.which("enfuse"):
            results["align_image_stack, enfuse"], cost = enfused(files, here)
            costs[f"align_image_stack, enfuse, {len(files)} frames"] = cost
            for number, image in enumerate(rendered):
                write_image(here / f"a{number:04}.tif", to_uint(image[0]))
            aligned = [f"a{number:04}.tif" for number in range(len(rendered))]
            measured(("enfuse", *ENFUSE, "-o", "r.tif", *aligned), folder=here)
            edges.append(
                {"rendered frames": "enfuse"} | halos(to_float(read_image(here / "r.tif"))[None], truth, around)
            )
        if given.also:
            costs[f"prepare stack, {len(image_files(given.also))} frames"] = prepared(given.also, "*", here / "also")
    frames = [to_float(read_image(file))[None] for file in files]
    small, reference = [reduced(frame) for frame in frames], len(files) // 2
    direct = [GaussNewton()(small[reference], one) for one in small]
    results["fused with one affine motion a frame, chained"] = fused_with(
        frames, stack_flows(small, reference, GaussNewton(dense=False))[0]
    )
    results["fused with flow straight to the reference"] = fused_with(frames, direct)
    results["sharpest frame"] = max(frames, key=lambda frame: compared(frame, target, near)["SSIM"])
    rows = []
    for name, image in results.items():
        row = {"picture": name} | {key: f"{value:.3f}" for key, value in compared(image, target, near).items()}
        placed = name.startswith(("prepare", "fused"))  # the others have a geometry of their own
        rows.append(row | {"own frame, of 255": f"{unexplained(image, frames[reference]):.2f}" if placed else "–"})
        if given.keep:
            write_image(given.keep / f"{name.replace(', ', '_').replace(' ', '_')}.png", to_uint(image[0]))
    cost_rows = [
        {"command": name, "s": f"{c.wall:.0f}", "s of processor": f"{c.processor:.0f}", "peak, GiB": f"{c.peak:.2f}"}
        for name, c in costs.items()
    ]
    tables = "\n".join(markdown_table(table) for table in (rows, edges, cost_rows))
    text = f"{tables}\nLoad of the machine at the end, on {os.cpu_count()} cores: {os.getloadavg()[1]:.1f}.\n"
    print(text)
    if given.output:
        with atomic_write(given.output, "w") as file:
            file.write(text)


if __name__ == "__main__":
    main()
