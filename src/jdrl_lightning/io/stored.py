"""What the decoder of each format returns: a picture as it is stored, before it is turned upright."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray

__all__ = ["INKS", "Head", "Metadata", "Stored", "Unsupported"]

INKS = "its inks become RGB by the plain formula, without its colour profile"


class Head(NamedTuple):
    """Size as stored, px, bits per channel (8 or 16) once decoded, and EXIF orientation (1 to 8)."""

    height: int
    width: int
    depth: int
    orientation: int = 1


class Metadata(NamedTuple):
    """What a written file carries besides pixels and profile; its pixels are upright, and so its orientation is 1.

    Attributes:
        exif: EXIF data, from the byte order mark ``II`` or ``MM`` on, or None.
        xmp: XMP packet, or None.
        dpi: horizontal and vertical resolution, pixels per inch, or None.
        colour: PNG's chunks that say what its values mean (``gAMA``, ``cHRM``, ``sRGB``, ``cICP``, …), as stored; only
            a PNG can hold them.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    colour: bytes = b""


class Stored(NamedTuple):
    """A decoded file.

    Attributes:
        pixels: ``(H, W, C)``, ``uint8`` or ``uint16``: the colours, then alpha if there is one, then other channels.
        colours: 1 (grey) or 3 (RGB).
        alpha: whether there is an alpha channel, not premultiplied.
        orientation: EXIF orientation, 1 to 8.
        icc: colour profile, or None.
        metadata: see :class:`Metadata`; still with the file's own orientation.
        remarks: what the user should know, each in a few words.
    """

    pixels: NDArray[Any]
    colours: int
    alpha: bool = False
    orientation: int = 1
    icc: bytes | None = None
    metadata: Metadata = Metadata()
    remarks: tuple[str, ...] = ()


class Unsupported(ValueError):
    """An intact file that is not read; the text has the remedy."""
