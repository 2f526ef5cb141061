"""WebP: its parts are found here, so that a head is read without the rest; libwebp decodes them, by imagecodecs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import imagecodecs

from jdrl_lightning.io.limits import check_pixels
from jdrl_lightning.io.orientation import exif_orientation
from jdrl_lightning.io.stored import Head, Metadata, Stored

__all__ = ["decode", "is_webp", "read_head"]

SIZED = 10  # bytes at the beginning of a picture's part that hold its size
METADATA = (b"ICCP", b"EXIF", b"XMP ")
MAX_METADATA = 2**24  # bytes


def is_webp(start: bytes) -> bool:
    """Whether a file begins like a WebP."""
    return start.startswith(b"RIFF") and start[8:12] == b"WEBP"


def read_head(stream: BinaryIO) -> Head:
    """Size, 8 bits, orientation.

    Raises:
        ValueError: damaged, or too large.
    """
    height, width, orientation, *_ = _parts(stream)
    return Head(height, width, 8, orientation)


def decode(stream: BinaryIO) -> Stored:
    """Decode the first picture exactly; damaged data make imagecodecs raise an error of its own."""
    height, width, orientation, found, frames = _parts(stream)
    stream.seek(0)
    pixels = imagecodecs.webp_decode(stream.read())
    if pixels.shape[:2] != (height, width):
        raise ValueError("its size is not that of its header")
    return Stored(
        pixels,
        colours=3,
        alpha=pixels.shape[2] == 4,
        orientation=orientation,
        icc=found.get(b"ICCP"),
        metadata=Metadata(found.get(b"EXIF"), found.get(b"XMP ")),
        remarks=(f"holds {frames} pictures; the first is read",) if frames > 1 else (),
    )


def _parts(stream: BinaryIO) -> tuple[int, int, int, dict[bytes, bytes], int]:
    """Height, width, orientation, metadata by the name of their part, and number of frames."""
    size: tuple[int, int] | None = None
    found: dict[bytes, bytes] = {}
    frames = 0
    for name, length in _walk(stream):
        if size is None:
            size = _size(name, stream.read(min(length, SIZED)))
        frames += name == b"ANMF"
        if name in METADATA and length <= MAX_METADATA:
            found.setdefault(name, stream.read(length))
    if size is None:
        raise ValueError("no image size")
    check_pixels(*size)
    return *size, exif_orientation(found.get(b"EXIF"), found.get(b"XMP ")), found, frames


def _walk(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Name and length of each part, with the stream at its beginning."""
    end = stream.seek(0, 2)
    at = 12
    while at + 8 <= end:
        stream.seek(at)
        name, length = struct.unpack("<4sI", stream.read(8))
        yield name, length
        at += 8 + length + length % 2


def _size(name: bytes, content: bytes) -> tuple[int, int]:
    """Height and width by the file's first part: the canvas, or a picture by one of the two codecs."""
    content = content.ljust(SIZED, b"\0")
    if name == b"VP8X":
        return int.from_bytes(content[7:10], "little") + 1, int.from_bytes(content[4:7], "little") + 1
    if name == b"VP8L":
        bits = int.from_bytes(content[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    if name == b"VP8 ":
        width, height = struct.unpack("<HH", content[6:10])
        return height & 0x3FFF, width & 0x3FFF
    raise ValueError("no image size")
