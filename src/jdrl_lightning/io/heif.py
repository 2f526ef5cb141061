"""HEIC by pillow-heif; AVIF of 10 and 12 bits by imagecodecs, and its metadata by Pillow."""

from __future__ import annotations

from importlib import import_module
from typing import Any, BinaryIO

import imagecodecs
import numpy as np

from jdrl_lightning.io import eight_bit
from jdrl_lightning.io.limits import check_pixels
from jdrl_lightning.io.stored import Head, Metadata, Stored, Unsupported
from jdrl_lightning.io.tiff_channels import to_levels

__all__ = ["decode_avif", "decode_heic", "extra", "is_avif", "read_avif_head", "read_heic_head"]

CONFIGURATION = b"av1C"  # the box that says how an AVIF is coded, at its start
START = 2**20  # bytes


def extra(package: str, what: str) -> Any:
    """A package of the extra ``formats``.

    Raises:
        Unsupported: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise Unsupported(f"{what} needs {package}: pip install 'jdrl_lightning[formats]'") from error


def is_avif(start: bytes) -> bool:
    """Whether a file of the ISO base format is an AVIF, by the brands at its start."""
    return b"avif" in start or b"avis" in start


def read_avif_head(stream: BinaryIO) -> Head:
    """Size as stored, depth, orientation."""
    head = eight_bit.read_head(stream)
    return head._replace(depth=8 if _bits(stream) == 8 else 16)


def decode_avif(stream: BinaryIO) -> Stored:
    """Decode; more than 8 bits are scaled to 16."""
    stored, bits = eight_bit.decode(stream), _bits(stream)
    if bits == 8:
        return stored
    stream.seek(0)
    pixels = imagecodecs.avif_decode(stream.read(), index=0)
    return stored._replace(pixels=to_levels(pixels.reshape(*pixels.shape[:2], -1), bits))


def read_heic_head(stream: BinaryIO) -> Head:
    """Size, depth; libheif turns the pixels upright itself."""
    image = _heic(stream)
    width, height = image.size
    return Head(height, width, 8 if image.info["bit_depth"] <= 8 else 16)


def decode_heic(stream: BinaryIO) -> Stored:
    """Decode the primary picture; more than 8 bits are scaled to 16."""
    image = _heic(stream)
    bits, info, size = image.info["bit_depth"], image.info, image.size
    pixels = np.asarray(image)
    if pixels.shape[1::-1] != size:
        raise ValueError("its size is not that of its header")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if bits > 8:
        pixels = to_levels(pixels >> (16 - bits), bits)
    channels = pixels.shape[2]
    return Stored(
        pixels,
        colours=1 if channels < 3 else 3,
        alpha=channels in (2, 4),
        icc=info.get("icc_profile"),
        metadata=Metadata(info.get("exif"), info.get("xmp")),
        remarks=(f"holds {len(image)} pictures; the primary one is read",) if len(image) > 1 else (),
    )


def _heic(stream: BinaryIO) -> Any:
    image = extra("pillow_heif", "HEIC").open_heif(stream, convert_hdr_to_8bit=False)
    width, height = image.size
    check_pixels(height, width)
    return image


def _bits(stream: BinaryIO) -> int:
    stream.seek(0)
    start = stream.read(START)
    found = start.find(CONFIGURATION)
    flags = start[found + 6] if 0 <= found < len(start) - 6 else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
