"""EXIF orientation: read from an image's metadata, applied to its pixels."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from numpy.typing import NDArray
from PIL import Image

__all__ = ["DAMAGED", "SWAPS_AXES", "TAG", "apply_orientation", "exif_orientation", "pillow_orientation"]

TAG = 0x0112
SWAPS_AXES = (5, 6, 7, 8)  # orientations that swap height and width
# What Pillow, kornia_rs (through png.decode) and tifffile raise for damaged files.
DAMAGED = (ValueError, KeyError, IndexError, TypeError, OSError, SyntaxError, EOFError, struct.error, zlib.error,
           Image.DecompressionBombError)  # fmt: skip


def exif_orientation(exif: bytes | None) -> int:
    """The orientation in raw EXIF data; 1 if there is none, or if the metadata is damaged (the pixels are not)."""
    if exif is None:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        return tags.get(TAG, 1)
    except DAMAGED:
        return 1


def pillow_orientation(image: Image.Image) -> int:
    """The orientation of an image that Pillow has opened; see ``exif_orientation``."""
    try:
        return image.getexif().get(TAG, 1)
    except DAMAGED:
        return 1


def apply_orientation(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels ``(H, W, C)`` upright; orientations other than 2 to 8 change nothing."""
    if orientation in SWAPS_AXES:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
