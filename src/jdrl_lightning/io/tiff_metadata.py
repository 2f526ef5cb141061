"""EXIF data of a TIFF, whose first directory holds them among the tags of the picture itself; read and written."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

from PIL import Image

from jdrl_lightning.io.orientation import PREFIX

__all__ = ["add_exif", "read_dpi", "read_exif"]

DESCRIPTION = 270
# Description, make, model, software, date, artist, computer, rating, copyright, IPTC, EXIF, GPS, and Windows' own.
CARRIED = (DESCRIPTION, 271, 272, 305, 306, 315, 316, 18246, 33432, 33723, 34665, 34853, *range(40091, 40096))
OF_THE_LAYOUT = ("{", "<", "ImageJ=")  # beginnings of descriptions that programs write about the file's own layout
CENTIMETRE, INCH = 3, 2.54
HEAD = 8  # bytes


def read_exif(stream: BinaryIO) -> bytes | None:
    """The EXIF data, without those of the picture's layout, orientation or resolution; None if there are none."""
    stream.seek(0)
    exif = Image.Exif()
    try:
        exif.load_from_fp(stream)
        kept = {tag: exif[tag] for tag in exif if tag in CARRIED}
        if str(kept.get(DESCRIPTION, "")).lstrip().startswith(OF_THE_LAYOUT):
            del kept[DESCRIPTION]
        for tag in [tag for tag in exif if tag not in kept]:
            del exif[tag]
        return exif.tobytes().removeprefix(PREFIX) if kept else None
    except Exception:  # Pillow's parser raises nearly anything
        return None


def read_dpi(page: Any) -> tuple[float, float] | None:
    """Horizontal and vertical resolution of tifffile's page, pixels per inch; None if there is none."""
    scale = {2: 1.0, CENTIMETRE: INCH}.get(int(page.resolutionunit))
    dpi = None if scale is None else tuple(scale * float(value) for value in page.resolution)
    return None if dpi is None or min(dpi) <= 0 else (dpi[0], dpi[1])


def add_exif(data: bytes, exif: bytes) -> bytes:
    """A little-endian TIFF with EXIF data: a copy of its only directory, with them, is appended and takes its place.

    Damaged EXIF data are left out, and so are all in a BigTIFF.
    """
    if not data.startswith(b"II*\0"):
        return data
    data += bytes(len(data) % 2)
    try:
        tags = Image.Exif()
        tags.load(exif)
        tags.endian = "<"
        added = tags.tobytes(offset=len(data)).removeprefix(PREFIX)[HEAD:]
        (start,) = struct.unpack_from("<I", data, 4)
        entries = _entries(added, 0) | _entries(data, start)
    except Exception:
        return data
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    added += bytes(len(added) % 2)
    return data[:4] + struct.pack("<I", len(data) + len(added)) + data[HEAD:] + added + directory


def _entries(data: bytes, start: int) -> dict[int, bytes]:
    """The entries of the directory at ``start``, 12 bytes each, by tag."""
    (count,) = struct.unpack_from("<H", data, start)
    entries = [data[at : at + 12] for at in range(start + 2, start + 2 + 12 * count, 12)]
    return {int.from_bytes(entry[:2], "little"): entry for entry in entries}
