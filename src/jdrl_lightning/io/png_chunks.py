"""PNG's chunks before the pixels: size, kind and metadata; and the chunks that carry metadata into a written file."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple

from jdrl_lightning.io.limits import check_pixels
from jdrl_lightning.io.orientation import PREFIX
from jdrl_lightning.io.stored import Metadata

__all__ = ["GREY", "GREY_ALPHA", "PALETTE", "RGB", "RGBA", "SIGNATURE", "Head", "chunk", "metadata_chunks", "read_head"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_METADATA = 2**24  # bytes; no colour profile is larger
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
COLOUR = (b"cICP", b"mDCV", b"cLLI", b"sRGB", b"gAMA", b"cHRM")
XMP = b"XML:com.adobe.xmp\0"
IMAGEMAGICK = (b"Raw profile type exif\0", b"Raw profile type APP1\0")  # EXIF data before there was eXIf
INCH = 0.0254  # m


class Head(NamedTuple):
    """Size as stored, bits per channel, colour type, and the metadata before the pixels.

    Attributes:
        transparent: whether a colour, or palette entries, are transparent.
        frames: number of pictures in the file.
        damaged_icc: whether there is a colour profile that cannot be unpacked.
    """

    height: int
    width: int
    depth: int
    colour: int
    icc: bytes | None = None
    metadata: Metadata = Metadata()
    transparent: bool = False
    frames: int = 1
    damaged_icc: bool = False

    @property
    def raw_bytes(self) -> int:
        """Size of the uncompressed pixels with a byte for each row's filter; interlaced ones are slightly larger."""
        return self.height * (1 + (self.width * CHANNELS[self.colour] * self.depth + 7) // 8)


def read_head(stream: BinaryIO) -> Head:
    """Read the chunks up to the first pixel data.

    Raises:
        ValueError: not a PNG, damaged, or too large.
    """
    if stream.read(8) != SIGNATURE:
        raise ValueError("not a PNG")
    head: Head | None = None
    icc = exif = xmp = dpi = None
    colour, transparent, frames, damaged_icc = b"", False, 1, False
    while True:
        start = stream.read(8)
        if len(start) < 8:
            raise ValueError("truncated before the pixel data")
        length, kind = struct.unpack(">I4s", start)
        if kind == b"IDAT":
            break
        if length > MAX_METADATA:
            raise ValueError("damaged metadata")
        content, checksum = stream.read(length), stream.read(4)
        if len(checksum) < 4:
            raise ValueError("truncated before the pixel data")
        if kind == b"IHDR" and length == 13:
            width, height, depth, colour_type = struct.unpack(">IIBB", content[:10])
            head = Head(height, width, depth, colour_type)
        elif kind == b"iCCP":
            try:
                icc = zlib.decompressobj().decompress(content[content.index(b"\0") + 2 :], MAX_METADATA)
            except (ValueError, zlib.error):
                damaged_icc = True
        elif kind == b"eXIf":
            exif = content
        elif kind == b"pHYs" and length == 9 and content[8] == 1:
            dpi = tuple(per_metre * INCH for per_metre in struct.unpack(">II", content[:8]))
        elif kind == b"iTXt" and content.startswith(XMP):
            xmp = _text(content[len(XMP) :])
        elif kind in (b"zTXt", b"tEXt") and content.startswith(IMAGEMAGICK):
            exif = exif or _hexadecimal(content.partition(b"\0")[2], compressed=kind == b"zTXt")
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"acTL" and length == 8:
            (frames,) = struct.unpack(">I", content[:4])
        elif kind in COLOUR:
            colour += chunk(kind, content)
    if head is None or head.height * head.width == 0:
        raise ValueError("no image size")
    check_pixels(head.height, head.width)
    if head.colour not in CHANNELS or head.depth not in (1, 2, 4, 8, 16):
        raise ValueError(f"no PNG has colour type {head.colour} with {head.depth} bits")
    metadata = Metadata(exif, xmp, dpi, colour)
    return Head(*head[:4], icc, metadata, transparent, frames, damaged_icc)


def metadata_chunks(icc: bytes | None, metadata: Metadata) -> bytes:
    """The chunks that hold a colour profile and metadata."""
    chunks = metadata.colour
    if icc is not None:
        chunks += chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc))
    if metadata.dpi is not None:
        chunks += chunk(b"pHYs", struct.pack(">IIB", *(min(round(dpi / INCH), 2**31 - 1) for dpi in metadata.dpi), 1))
    if metadata.exif is not None:
        chunks += chunk(b"eXIf", metadata.exif)
    if metadata.xmp is not None:
        chunks += chunk(b"iTXt", XMP + b"\0\0\0\0" + metadata.xmp)
    return chunks


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk, with length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _text(content: bytes) -> bytes | None:
    """The text of an ``iTXt`` chunk after its keyword; None if damaged."""
    try:
        compressed, (_, _, text) = content[0], content[2:].split(b"\0", 2)
        return zlib.decompressobj().decompress(text, MAX_METADATA) if compressed else text
    except (IndexError, ValueError, zlib.error):
        return None


def _hexadecimal(content: bytes, compressed: bool) -> bytes | None:
    """The EXIF data in a text chunk of ImageMagick's: a name, a length, then hexadecimal digits; None if damaged."""
    try:
        text = zlib.decompressobj().decompress(content[1:], MAX_METADATA) if compressed else content
        found = bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
        return found.removeprefix(PREFIX) if found.startswith((PREFIX, b"II", b"MM")) else None
    except (ValueError, zlib.error):
        return None
