"""JPEG, BMP and WebP by Pillow, which reads them exactly: they never have more than 8 bits per channel."""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jdrl_lightning.io.orientation import pillow_orientation

__all__ = ["decode", "encode_jpeg", "read_head"]

_FORMATS = ("JPEG", "BMP", "WEBP")


def read_head(stream: BinaryIO) -> tuple[int, int, int]:
    """Height and width as stored, orientation (1 to 8)."""
    with Image.open(stream, formats=_FORMATS) as image:
        width, height = image.size
        return height, width, pillow_orientation(image)


def decode(data: bytes) -> tuple[NDArray[Any], bytes | None, int]:
    """``(H, W, C)`` ``uint8``, colour profile, orientation; Pillow's errors for damaged files."""
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        orientation = pillow_orientation(image)
        icc = image.info.get("icc_profile") if image.mode in ("L", "LA", "RGB", "RGBA") else None
        mode = image.mode if image.mode in ("L", "RGB", "RGBA") else "L" if image.mode == "1" else "RGB"
        pixels = np.array(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1), icc, orientation


def encode_jpeg(pixels: NDArray[Any], icc: bytes | None) -> bytes:
    """A JPEG file (quality 95, no chroma subsampling) of ``(H, W, 1 or 3)`` ``uint8``."""
    stream = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        stream, "JPEG", quality=95, subsampling=0, icc_profile=icc
    )
    return stream.getvalue()
