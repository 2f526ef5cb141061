"""PNG at full bit depth: read by kornia_rs, written by zlib (Pillow reduces 16-bit colour to 8 bits)."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any, BinaryIO, NamedTuple

import kornia_rs.io
import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SIGNATURE", "Head", "decode", "encode", "read_head"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 2**28  # a damaged or malicious header must not make the decoder allocate terabytes
MAX_METADATA = 2**24  # bytes; no colour profile is larger
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


class Head(NamedTuple):
    """The metadata before the pixels: size as stored, bits per channel, PNG colour type, colour profile, raw EXIF."""

    height: int
    width: int
    depth: int
    colour: int
    icc: bytes | None
    exif: bytes | None


def read_head(stream: BinaryIO) -> Head:
    """Read the chunks up to the first pixel data.

    Raises:
        ValueError: not a PNG, or damaged.
    """
    if stream.read(8) != SIGNATURE:
        raise ValueError("not a PNG")
    size: tuple[int, int, int, int] | None = None
    icc = exif = None
    while True:
        start = stream.read(8)
        if len(start) < 8:
            raise ValueError("truncated before the pixel data")
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IDAT":
            break
        if length > MAX_METADATA:
            raise ValueError("damaged metadata")
        content = stream.read(length)
        if len(stream.read(4)) < 4:
            raise ValueError("truncated before the pixel data")
        if kind == b"IHDR" and length == 13:
            width, height, depth, colour = struct.unpack(">IIBB", content[:10])
            size = height, width, depth, colour
        elif kind == b"iCCP":
            icc = zlib.decompressobj().decompress(content[content.index(b"\0") + 2 :], MAX_METADATA)
        elif kind == b"eXIf":
            exif = content
    if size is None or size[0] * size[1] == 0:
        raise ValueError("no image size")
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"{size[1]}x{size[0]} pixels exceed the limit of {MAX_PIXELS}")
    return Head(*size, icc, exif)


def decode(data: bytes) -> NDArray[Any]:
    """Decode a whole file losslessly.

    torchvision's decoder reads every kind, but a damaged file makes it kill the process instead of raising.

    Returns:
        ``(H, W, C)``, ``C`` from 1 to 4, ``uint8`` or ``uint16``; palettes become RGB or RGBA, 1 to 4 bits become 8.

    Raises:
        ValueError: not a PNG, or damaged.
    """
    head = read_head(BytesIO(data))
    if head.colour == PALETTE or head.depth < 8:
        return _decode_palette(data)
    if head.colour == GREY_ALPHA:
        # kornia_rs cannot decode grey with alpha. PNG's filters work on bytes one pixel apart, so the same bytes are
        # also a valid image of another kind with as many bytes per pixel: 8-bit RGBA for 16 bits, 16-bit grey for 8.
        if head.depth == 16:
            return _kornia(_relabel(data, 8, RGBA), head, 8, RGBA).view(">u2").astype(np.uint16)
        return _kornia(_relabel(data, 16, GREY), head, 16, GREY).astype(">u2").view(np.uint8)
    return _kornia(data, head, head.depth, head.colour)


def _kornia(data: bytes, head: Head, depth: int, colour: int) -> NDArray[Any]:
    mode = {GREY: "mono", RGB: "rgb", RGBA: "rgba"}.get(colour)
    if mode is None or depth not in (8, 16):
        raise ValueError(f"unsupported PNG: colour type {colour}, {depth} bits")
    read = kornia_rs.io.decode_image_png_u8 if depth == 8 else kornia_rs.io.decode_image_png_u16
    try:
        return np.asarray(read(data, (head.height, head.width), mode))
    except Exception as error:  # kornia_rs raises a bare Exception for any damaged data
        raise ValueError(str(error)) from error


def _relabel(data: bytes, depth: int, colour: int) -> bytes:
    """The pixel data under another kind (see ``decode``), without the metadata, whose layout depends on the kind."""
    kept = [data[:8], _chunk(b"IHDR", data[16:24] + bytes((depth, colour)) + data[26:29])]
    start = 33  # after the signature and IHDR
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] in (b"IDAT", b"IEND"):
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def _decode_palette(data: bytes) -> NDArray[Any]:
    """Decode palettes and images of fewer than 8 bits by Pillow, which is exact for these."""
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            grey = image.mode in ("1", "L")
            mode = "RGBA" if "transparency" in image.info else "L" if grey else "RGB"
            pixels = np.array(image.convert(mode))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error
    return pixels.reshape(*pixels.shape[:2], -1)


def encode(pixels: NDArray[Any], icc: bytes | None = None) -> bytes:
    """A whole PNG file: filter "Up", deflate level 3 (within 2 % of level 6's size, twice as fast).

    Args:
        pixels: ``(H, W, C)``, ``C`` 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), ``uint8`` or ``uint16``.
        icc: colour profile.
    """
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    rows = np.ascontiguousarray(pixels.astype(f">u{depth // 8}")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = 2  # "Up"
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    colour = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}[channels]
    profile = b"" if icc is None else _chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc))
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return SIGNATURE + header + profile + _chunk(b"IDAT", zlib.compress(filtered.tobytes(), 3)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
