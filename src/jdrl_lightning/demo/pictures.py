"""Crops side by side, each with its PSNR, as images embedded in the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.demo.methods import css_class, label
from jdrl_lightning.io import png

__all__ = ["Examples", "example", "one_line_rule"]

Crops: TypeAlias = Mapping[str, NDArray[np.uint8]]
Examples: TypeAlias = Sequence[Crops]

TITLES = {"blurry": "Blurry image", "truth": "Truth", "sharp as given": "Sharp, as given"}
GAP_PX = 12  # as in the style sheet


def example(number: int, crops: Crops) -> str:
    """One example's crops ``(H, W, 3)`` by title, shown at twice their size; PSNR is against ``truth``."""
    figures = []
    for title, image in crops.items():
        name = TITLES.get(title, label(title))
        data = base64.b64encode(png.encode(image)).decode("ascii")
        figures.append(
            f'<figure class="{css_class("input" if title == "blurry" else title)}">'
            f'<img src="data:image/png;base64,{data}" '
            f'width="{2 * image.shape[1]}" height="{2 * image.shape[0]}" alt="{escape(name)}, example {number}">'
            f"<figcaption><strong>{escape(name)}</strong>{_fidelity(title, image, crops.get('truth'))}</figcaption>"
            "</figure>"
        )
    return (
        f'<div class="example"><h3>Example {number}</h3>\n<div class="crops" style="--tile: {_tile_px(crops)}px">\n'
        + "\n".join(figures)
        + "\n</div></div>"
    )


def one_line_rule(examples: Examples) -> str:
    """CSS that puts an example's crops into one row, wider than the text, where the window is wide enough."""
    if not examples:
        return ""
    width = max(_tile_px(crops) * len(crops) + GAP_PX * (len(crops) - 1) for crops in examples)
    return (
        f"@media (min-width: {width + 64}px) {{ "
        f".example {{ width: {width}px; margin-left: calc(50% - {width / 2}px); }} .crops {{ max-width: none; }} }}"
    )


def _tile_px(crops: Crops) -> int:
    return 2 * max(image.shape[1] for image in crops.values())


def _fidelity(title: str, image: NDArray[np.uint8], truth: NDArray[np.uint8] | None) -> str:
    if title == "truth":
        return "in place"
    if truth is None or truth.shape != image.shape:
        return ""
    error = float(np.mean((image.astype(np.float64) - truth) ** 2))
    return f"{10 * math.log10(255**2 / error):.2f} dB" if error else "equal to the truth"
