"""Draw what the shipped network makes of pictures that it has not seen.

python docs/images/draw_restored.py --photographs FOLDER   # restored.png of the README: two rendered frames
python docs/images/draw_restored.py --stack FOLDER         # stack.png of its card: a real lens out of focus

The photographs lie in ``train/``, ``val/`` and ``test/``; the last holds the 24 of Kodak's suite. Prints the gains that
the README quotes. The stack has ``frame_*`` and ``fused.jpg``, the picture of all its frames that is sharp everywhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch.nn.functional as F
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

import jdrl_lightning
from jdrl_lightning import data, flow, metrics
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.io.image import read_image
from jdrl_lightning.types import Pair, to_float

INDICES = (6, 18)  # of the test split
SIDE, GAP, HEAD, BAR = 256, 6, 24, 70  # px: a frame, between frames, a title, the colour bar with its numbers
COLUMNS = 4
STACK_SIDE = 1024  # px, of a stack's frames
MODERATE = 4.0  # px of radius


def restored(restorer: Restorer, pair: Pair) -> tuple[dict[str, Tensor], Tensor]:
    """One row: images ``(3, H, W)`` in [0, 1] by title, and the predicted radius ``(H, W)``, px."""
    blurry, truth = to_float(pair.blurry), to_float(pair.extras["aligned"])
    image = restorer.restore(blurry)
    gain = float(metrics.psnr(image[None], truth[None]) - metrics.psnr(blurry[None], truth[None]))
    return {"blurry": blurry, f"restored, {gain:+.1f} dB": image, "ground truth": truth}, restorer.blur_map(blurry)


def from_stack(restorer: Restorer, folder: Path) -> list[tuple[dict[str, Tensor], Tensor]]:
    """The first, a middle and the last frame: the first at its most blurred place, the others where it is moderate."""
    estimate, fused = flow.create("gauss_newton"), _reduced(folder / "fused.jpg")
    files, rows = sorted(folder.glob("frame_*")), []
    for file in (files[0], files[len(files) // 2], files[-1]):
        blurry = _reduced(file)
        sharp = warp(fused, estimate(blurry, fused))
        radius = restorer.blur_map(blurry[0])
        blurred = F.avg_pool2d(radius[None, None], SIDE, stride=16)[0, 0]
        wanted = float(blurred.max()) if file == files[0] else MODERATE
        row, column = divmod(int((blurred - wanted).abs().argmin()), blurred.shape[1])
        place = (..., slice(16 * row, 16 * row + SIDE), slice(16 * column, 16 * column + SIDE))
        images = {file.stem: blurry[0], "restored": restorer.restore(blurry[0]), "fused, brought onto it": sharp[0]}
        rows.append(({title: image[place] for title, image in images.items()}, radius[place]))
    return rows


def _reduced(file: Path) -> Tensor:
    image = to_float(read_image(file))[None]
    scale = STACK_SIDE / max(image.shape[-2:])
    sides = [round(side * scale) for side in image.shape[-2:]]
    return F.interpolate(image, sides, mode="bilinear", antialias=True).clamp(0, 1)


@style.context("jdrl_lightning.figures")
def draw(rows: list[tuple[dict[str, Tensor], Tensor]]) -> Figure:
    """The rows below each other, pixel for pixel; one scale for the maps."""
    width, height = COLUMNS * (SIDE + GAP) + BAR, len(rows) * (HEAD + SIDE + GAP)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    largest = max(float(radius.max()) for _, radius in rows)
    for row, (images, radius) in enumerate(rows):
        bottom = height - (row + 1) * (HEAD + SIDE + GAP) + GAP
        shown = {title: image.permute(1, 2, 0).numpy() for title, image in images.items()}
        for column, (title, picture) in enumerate((shown | {"predicted blur": radius.numpy()}).items()):
            left = column * (SIDE + GAP)
            axis = figure.add_axes((left / width, bottom / height, SIDE / width, SIDE / height))
            drawn = axis.imshow(picture, cmap="cividis", vmin=0, vmax=largest)
            axis.set_title(title, fontsize=10)
            axis.axis("off")
        bar = figure.add_axes(((COLUMNS * (SIDE + GAP) + GAP) / width, bottom / height, 12 / width, SIDE / height))
        figure.colorbar(drawn, cax=bar, label="radius, px").outline.set_visible(False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--photographs", type=Path, help="folder with train/, val/ and test/")
    source.add_argument("--stack", type=Path, help="folder with frame_* and fused.jpg")
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    restorer = jdrl_lightning.load()
    if given.stack:
        draw(from_stack(restorer, given.stack)).savefig(given.output or Path(__file__).with_name("stack.png"))
        return
    frames = {"frames_per_photo": {"test": 1}, "frame": SIDE, "crop": 0}
    pairs = data.create("photos", split="test", seed=7, root=given.photographs, **frames)
    rows = [restored(restorer, pairs[index]) for index in INDICES]
    draw(rows).savefig(given.output or Path(__file__).with_name("restored.png"))
    print(*(title for images, _ in rows for title in images if "dB" in title), sep="\n")


if __name__ == "__main__":
    main()
