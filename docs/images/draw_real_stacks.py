"""Draw real_stacks.png of docs/results: ``python docs/images/draw_real_stacks.py outputs/real_stacks``

Parts of test frames, enlarged twice, from what benchmarks/real_stacks.py has written.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

from jdrl_lightning.io.image import read_image

PARTS = {("pcb", "frame_003"): (300, 240), ("depthmap", "frame_006"): (20, 275)}  # top, left, of frames 640 px wide
SIDE, ZOOM, GAP, HEAD = 128, 2, 6, 24  # px of the frame; and of the drawing
ROWS = {"blurry": "input", "shipped": "shipped", "pixel-wise": "pixel-wise", "registered first": "registered",
        "JDRL": "jdrl", "fused": "fused"}  # fmt: skip


def parts(folder: Path, stack: str, frame: str, top: int, left: int) -> dict[str, Tensor]:
    """``(3, SIDE, SIDE)`` by title."""
    files = {title: folder / "restored" / f"{row}_seed0" / stack for title, row in ROWS.items()}
    place = (..., slice(top, top + SIDE), slice(left, left + SIDE))
    return {title: read_image(file / f"{frame}.png")[place] for title, file in files.items()}


@style.context("jdrl_lightning.figures")
def draw(rows: list[dict[str, Tensor]]) -> Figure:
    """The rows below each other."""
    side = ZOOM * SIDE
    width, height = len(rows[0]) * (side + GAP) - GAP, len(rows) * (HEAD + side)
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    for row, images in enumerate(rows):
        bottom = height - (row + 1) * (HEAD + side)
        for column, (title, image) in enumerate(images.items()):
            place = (column * (side + GAP) / width, bottom / height, side / width, side / height)
            axis = figure.add_axes(place)
            axis.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
            axis.set_title(title, fontsize=10)
            axis.axis("off")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    rows = [parts(folder, *names, *place) for names, place in PARTS.items()]
    draw(rows).savefig(Path(__file__).with_name("real_stacks.png"))


if __name__ == "__main__":
    main()
