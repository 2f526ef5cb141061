"""EXIF orientation: read from an image's metadata, applied to its pixels, and then reset in the metadata."""

from __future__ import annotations

import re
import struct
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from jdrl_lightning.io.stored import Metadata

__all__ = ["SWAPS_AXES", "TAG", "apply_orientation", "exif_orientation", "pillow_orientation", "upright", "valid"]

TAG = 0x0112
SWAPS_AXES = (5, 6, 7, 8)  # orientations that swap height and width
IN_XMP = re.compile(rb"""(tiff:Orientation(?:=["']|>))([1-8])""")
PREFIX = b"Exif\0\0"  # of EXIF data in a JPEG


def exif_orientation(exif: bytes | None, xmp: bytes | None = None) -> int:
    """The orientation in raw EXIF data, else in an XMP packet; 1 if there is none, or if the metadata are damaged."""
    tags = Image.Exif()
    try:
        tags.load(exif or b"")
        return valid(tags.get(TAG), xmp)
    except Exception:  # Pillow's parser raises nearly anything
        return 1


def valid(orientation: object, xmp: bytes | None = None) -> int:
    """``orientation`` if it is one, else that of an XMP packet, else 1."""
    if orientation is None and xmp is not None and (found := IN_XMP.search(xmp)):
        orientation = int(found[2])
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def pillow_orientation(image: Image.Image) -> int:
    """The orientation of an image that Pillow has opened; see ``exif_orientation``."""
    try:
        return valid(image.getexif().get(TAG))
    except Exception:
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


def upright(metadata: Metadata, orientation: int) -> Metadata:
    """The metadata of pixels that were turned upright: orientation 1, no thumbnail, everything else byte for byte."""
    exif, xmp, dpi, colour = metadata
    if dpi is not None and orientation in SWAPS_AXES:
        dpi = dpi[::-1]
    if xmp is not None:
        xmp = IN_XMP.sub(rb"\g<1>1", xmp)
    return Metadata(None if exif is None else _reset(exif.removeprefix(PREFIX)), xmp, dpi, colour)


def _reset(exif: bytes) -> bytes | None:
    """EXIF data with orientation 1 and without the link to the thumbnail; None if damaged."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return None
    done = bytearray(exif)
    try:
        (start,) = struct.unpack_from(f"{order}I", done, 4)
        (count,) = struct.unpack_from(f"{order}H", done, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(f"{order}HHI", done, entry)
            if (tag, kind, number) == (TAG, 3, 1):  # one 16-bit integer
                struct.pack_into(f"{order}H", done, entry + 8, 1)
        struct.pack_into(f"{order}I", done, start + 2 + 12 * count, 0)
    except struct.error:
        return None
    return bytes(done)
