"""Noise images, and files of them built byte by byte: 16 bits that Pillow cannot write."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def noise(depth: int, channels: int, height: int = 13, width: int = 17) -> Array:
    dtype = np.uint8 if depth == 8 else np.uint16
    return np.random.default_rng(depth + channels).integers(0, 2**depth, (height, width, channels)).astype(dtype)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_bytes(pixels: Array, more: bytes = b"", interlaced: bool = False) -> bytes:
    """A PNG with unfiltered rows, or with the seven passes of Adam7."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    raw = b""
    for top, left, down, right in adam7 if interlaced else [(0, 0, 1, 1)]:
        for row in pixels[top::down, left::right]:
            raw += b"\0" + row.astype(f">u{depth // 8}").tobytes()
    head = struct.pack(">IIBBBBB", width, height, depth, COLOUR_TYPE[channels], 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def lzw(data: bytes) -> bytes:
    """TIFF's LZW without compression: 9-bit codes, with the table cleared before it needs ten bits."""
    codes = []
    for i, byte in enumerate(data):
        if i % 200 == 0:
            codes.append(256)
        codes.append(byte)
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def lzw_tiff(pixels: Array) -> bytes:
    """A 16-bit RGB TIFF, LZW-compressed, in one strip."""
    height, width, _ = pixels.shape
    strip = lzw(pixels.astype("<u2").tobytes())
    n_tags = 10
    end = 8 + 2 + 12 * n_tags + 4
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, end), (259, 3, 1, 5), (262, 3, 1, 2),
        (273, 4, 1, end + 6), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(strip)), (284, 3, 1, 1),
    ]  # fmt: skip
    directory = struct.pack("<H", n_tags) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<HHH", 16, 16, 16) + strip


def rows_first(image: torch.Tensor) -> Array:
    return image.permute(1, 2, 0).numpy()
