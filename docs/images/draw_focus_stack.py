"""Draw what ``prepare stack`` makes of a stack: ``python docs/images/draw_focus_stack.py my_stack_pairs/pcb``

Writes focus_stack.png of docs/focus_stacks.md: a part of the first and the last frame, fused picture and depth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps, style
from matplotlib.figure import Figure

from jdrl_lightning.io.image import read_image
from jdrl_lightning.types import to_float

TOP, LEFT, SIDE, GAP, HEAD = 700, 1330, 256, 6, 24  # px


@style.context("jdrl_lightning.figures")
def draw(images: dict[str, np.ndarray]) -> Figure:
    """Parts ``(H, W, 3)`` by title side by side, pixel for pixel."""
    width, height = len(images) * (SIDE + GAP) - GAP, HEAD + SIDE
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    for column, (title, image) in enumerate(images.items()):
        axis = figure.add_axes((column * (SIDE + GAP) / width, 0, SIDE / width, SIDE / height))
        axis.imshow(image)
        axis.set_title(title, fontsize=10)
        axis.axis("off")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stack", type=Path)
    folder = parser.parse_args().stack
    frames = sorted((folder / "frames").iterdir())
    files = {frames[0].stem: frames[0], frames[-1].stem: frames[-1], "fused": folder / "sharp.png"}
    images = {title: _part(file) for title, file in files.items()}
    depth = colormaps["cividis"](_part(folder / "depth.png")[..., 0])[..., :3]
    draw(images | {"depth": depth}).savefig(Path(__file__).with_name("focus_stack.png"))


def _part(file: Path) -> np.ndarray:
    part: torch.Tensor = to_float(read_image(file))[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    return part.permute(1, 2, 0).numpy()


if __name__ == "__main__":
    main()
