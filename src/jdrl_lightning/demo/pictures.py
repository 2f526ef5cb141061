"""Pictures embedded in the page without loss, and the frame in which they zoom."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from html import escape

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.demo.methods import css_class, label

__all__ = ["fidelity", "img", "psnr", "tile", "title"]

TITLES = {"blurry": "Blurry", "sharp as given": "Sharp, as given", "truth": "Truth"}


def title(key: str) -> str:
    """What a picture's key is called."""
    return TITLES.get(key, label(key))


def img(pixels: NDArray[np.uint8], alt: str, attributes: str = "") -> str:
    """An ``<img>`` that holds ``(H, W, 3)`` itself, as lossless WebP; ``attributes`` are HTML."""
    data = base64.b64encode(imagecodecs.webp_encode(np.ascontiguousarray(pixels), lossless=True)).decode("ascii")
    height, width = pixels.shape[:2]
    return (
        f'<img src="data:image/webp;base64,{data}" width="{width}" height="{height}" alt="{escape(alt)}"'
        f"{attributes and ' '}{attributes}>"
    )


def tile(key: str, name: str, note: str, content: str) -> str:
    """A figure whose ``content`` (HTML) zooms within its frame; ``key`` colours its caption."""
    return (
        f'<figure class="{css_class("input" if key == "blurry" else key)}"><div class="view">{content}</div>'
        f"<figcaption><strong>{escape(name)}</strong> <span>{escape(note)}</span></figcaption></figure>"
    )


def psnr(picture: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """dB; of equal pictures far above any other, but finite."""
    error = float(np.mean((picture.astype(np.float64) - truth) ** 2))
    return 10 * math.log10(255**2 / max(error, 1e-9))


def fidelity(key: str, pictures: Mapping[str, NDArray[np.uint8]]) -> str:
    """The PSNR of a picture against ``truth``, in words."""
    if key == "truth":
        return "in place"
    picture, truth = pictures[key], pictures["truth"]
    return "equal to the truth" if np.array_equal(picture, truth) else f"{psnr(picture, truth):.2f} dB"
