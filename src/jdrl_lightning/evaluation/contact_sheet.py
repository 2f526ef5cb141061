"""The contact sheet: one crop of blurry, restored and sharp image, unscaled, where detail was lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from jdrl_lightning.flow.filters import gradient
from jdrl_lightning.types import Pair

__all__ = ["Example", "example", "most_lost_detail", "sheet", "spread"]

IMAGES, CROP_PX, STRIDE_PX = 6, 192, 8
GAP_PX, LINE_PX, LETTER_PX = 4, 17, 11


class Example(NamedTuple):
    """A row of the sheet: its caption, and crops ``(3, h, w)`` in [0, 1] by title."""

    caption: str
    crops: dict[str, Tensor]


def spread(count: int) -> set[int]:
    """Indices of up to six of ``count`` images, evenly spaced over the data set."""
    return {int(index) for index in np.linspace(0, count - 1, min(IMAGES, count)).round()}


def example(pair: Pair, restored: Tensor, has_sharp: bool, rows: Sequence[Mapping[str, Any]]) -> Example:
    """The crop of a float batch of one that lost the most detail; ``rows`` are the measures of input and output."""
    pictures = {"blurry": pair.blurry, "restored": restored}
    if has_sharp:
        pictures["sharp, as given"] = pair.sharp
    if "aligned" in pair.extras:
        pictures["sharp, in place"] = pair.extras["aligned"]
    height, width = (min(CROP_PX, side) for side in pair.blurry.shape[-2:])
    top, left = most_lost_detail(pair.blurry, pair.sharp if has_sharp else restored, height, width)
    measure = next((key for key in ("aligned/psnr", "gt/psnr") if key in rows[0]), None)
    figures = "" if measure is None else f"; {measure} {rows[0][measure]:.2f} to {rows[1][measure]:.2f} dB"
    crops = {
        title: image[0, :, top : top + height, left : left + width].cpu().clone() for title, image in pictures.items()
    }  # copies, so that the whole image can be freed
    return Example(f"{pair.name[0]}, {width}×{height} px at ({left}, {top}){figures}", crops)


def most_lost_detail(blurry: Tensor, sharp: Tensor, height: int, width: int) -> tuple[int, int]:
    """Top and left of the crop in which ``sharp`` exceeds ``blurry`` most in squared gradient."""
    lost = gradient(rgb_to_grayscale(sharp)).square().sum(1) - gradient(rgb_to_grayscale(blurry)).square().sum(1)
    places = F.avg_pool2d(lost[:1], (height, width), stride=STRIDE_PX)[0]
    top, left = np.unravel_index(int(places.argmax()), places.shape)
    return int(top) * STRIDE_PX, int(left) * STRIDE_PX


def sheet(examples: Sequence[Example]) -> Image.Image:
    """All rows, each crop with its title, without resampling."""
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", LETTER_PX)
    widths = [sum(crop.shape[-1] + GAP_PX for crop in each.crops.values()) + GAP_PX for each in examples]
    heights = [2 * LINE_PX + max(crop.shape[-2] for crop in each.crops.values()) + 2 * GAP_PX for each in examples]
    captions = [int(font.getlength(each.caption)) + 2 * GAP_PX for each in examples]
    page = Image.new("RGB", (max(widths + captions), sum(heights)), "white")
    draw = ImageDraw.Draw(page)
    top = 0
    for each, height in zip(examples, heights, strict=True):
        draw.text((GAP_PX, top + GAP_PX), each.caption, fill="black", font=font)
        left = GAP_PX
        for title, crop in each.crops.items():
            draw.text((left, top + GAP_PX + LINE_PX), title, fill="dimgray", font=font)
            pixels = (crop.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
            page.paste(Image.fromarray(pixels), (left, top + GAP_PX + 2 * LINE_PX))
            left += crop.shape[-1] + GAP_PX
        top += height
    return page
