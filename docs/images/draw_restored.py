"""Draw restored.png of the README: two rendered frames of photographs that the shipped network has not seen.

python docs/images/draw_restored.py --photographs FOLDER [--output FILE]

The folder has ``train/``, ``val/`` and ``test/``; the last holds the 24 photographs of Kodak's suite. Prints the gains
that the README quotes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

import jdrl_lightning
from jdrl_lightning import data, metrics
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.types import Pair, to_float

INDICES = (6, 18)  # of the test split
SIDE, GAP, HEAD, BAR = 256, 6, 24, 70  # px: a frame, between frames, a title, the colour bar with its numbers
COLUMNS = 4


def restored(restorer: Restorer, pair: Pair) -> tuple[dict[str, Tensor], Tensor]:
    """One row: images ``(3, H, W)`` in [0, 1] by title, and the predicted radius ``(H, W)``, px."""
    blurry, truth = to_float(pair.blurry), to_float(pair.extras["aligned"])
    image = restorer.restore(blurry)
    gain = float(metrics.psnr(image[None], truth[None]) - metrics.psnr(blurry[None], truth[None]))
    return {"blurry": blurry, f"restored, {gain:+.1f} dB": image, "ground truth": truth}, restorer.blur_map(blurry)


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
    parser.add_argument("--photographs", type=Path, required=True, help="folder with train/, val/ and test/")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("restored.png"))
    given = parser.parse_args()
    frames = {"frames_per_photo": {"test": 1}, "frame": SIDE, "crop": 0}
    pairs = data.create("photos", split="test", seed=7, root=given.photographs, **frames)
    restorer = jdrl_lightning.load()
    rows = [restored(restorer, pairs[index]) for index in INDICES]
    draw(rows).savefig(given.output)
    print(*(title for images, _ in rows for title in images if "dB" in title), sep="\n")


if __name__ == "__main__":
    main()
