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
    return tiff_bytes(pixels.shape, 16, [lzw(pixels.astype("<u2").tobytes())], compression=5)


def planar_lzw_tiff(pixels: Array, tiled: bool) -> bytes:
    """An 8-bit RGB TIFF of at most 32×32 px, a plane a colour, LZW-compressed in a strip or four tiles each."""
    height, width, _ = pixels.shape
    parts = [pixels[..., i] for i in range(3)]
    if tiled:
        padded = [np.pad(part, ((0, 32 - height), (0, 32 - width))) for part in parts]
        parts = [part[y : y + 16, x : x + 16] for part in padded for y in (0, 16) for x in (0, 16)]
    return tiff_bytes(pixels.shape, 8, [lzw(part.tobytes()) for part in parts], 5, planar=True, tiled=tiled)


def packed_tiff(values: Array, bits: int) -> bytes:
    """An uncompressed TIFF of ``bits`` bits a value, each row padded to whole bytes."""
    height, width, channels = values.shape
    rows = values.reshape(height, width * channels).astype(">u2").view(np.uint8).reshape(height, -1, 2)
    packed = np.packbits(np.unpackbits(rows, axis=2)[..., 16 - bits :].reshape(height, -1), axis=1)
    return tiff_bytes(values.shape, bits, [packed.tobytes()], compression=1)


def tiff_bytes(
    shape: tuple[int, ...], bits: int, parts: list[bytes], compression: int, planar: bool = False, tiled: bool = False
) -> bytes:
    """A grey or RGB TIFF of compressed strips, one or one a plane, or of tiles of 16×16 px."""
    height, width, channels = shape
    starts = list(np.cumsum([8, *map(len, parts[:-1])]))
    values = {
        256: [width], 257: [height], 258: [bits] * channels, 259: [compression], 262: [2 if channels == 3 else 1],
        277: [channels], 284: [1 + planar], **({322: [16], 323: [16]} if tiled else {278: [height]}),
        324 if tiled else 273: starts, 325 if tiled else 279: list(map(len, parts)),
    }  # fmt: skip
    body = b"".join(parts)
    at, entries, more = 8 + len(body), b"", b""
    after = at + 2 + 12 * len(values) + 4
    for tag, numbers in sorted(values.items()):
        packed = struct.pack(f"<{len(numbers)}I", *numbers)
        inside = packed if len(numbers) == 1 else struct.pack("<I", after + len(more))
        more += packed if len(numbers) > 1 else b""
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + inside
    return b"II*\0" + struct.pack("<I", at) + body + struct.pack("<H", len(values)) + entries + bytes(4) + more


def rows_first(image: torch.Tensor) -> Array:
    return image.permute(1, 2, 0).numpy()
