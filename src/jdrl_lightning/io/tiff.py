"""TIFF of any layout, compression and depth that tifffile reads, as 8 or 16 bits; written by tifffile."""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from jdrl_lightning.io import tiff_channels as channels
from jdrl_lightning.io.limits import check_pixels
from jdrl_lightning.io.orientation import TAG, valid
from jdrl_lightning.io.stored import INKS, Head, Metadata, Stored, Unsupported
from jdrl_lightning.io.tiff_head import usual_head
from jdrl_lightning.io.tiff_metadata import add_exif, read_dpi, read_exif
from jdrl_lightning.io.tiff_pages import check_complete, first_full_size, how_many_full_size

__all__ = ["SIGNATURES", "decode", "encode", "read_head"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "RGB": 3, "PALETTE": 1, "SEPARATED": 4, "YCBCR": 3}
RAW = ("CFA", "LINEAR_RAW")
UNCOMPRESSED, JPEG, CONTIGUOUS = 1, 7, 1  # values of the tags Compression and PlanarConfiguration
XMP = 700

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # of a damaged file it logs a line for each damaged tag


def read_head(stream: BinaryIO) -> Head:
    """Size as stored, bits per decoded channel and orientation of the full-size page."""
    if head := usual_head(stream):
        check_pixels(head.height, head.width)
        return head
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = first_full_size(file)
        check_pixels(page.imagelength, page.imagewidth)
        deep = page.dtype != np.uint8 or page.bitspersample != 8
        if _photometric(page) == "PALETTE":
            deep = channels.looked_up(np.zeros((1, 1, 1), int), _table(page)).dtype != np.uint8
        return Head(page.imagelength, page.imagewidth, 16 if deep else 8, _orientation(page))


def decode(stream: BinaryIO) -> Stored:
    """Decode the full-size page losslessly; a depth that is neither 8 nor 16 is scaled to 16, float in [0, 1] too.

    Raises:
        ValueError: a float file with NaN, infinity or values outside [0, 1], or a damaged file; these raise tifffile's
            own errors too.
        Unsupported: a kind that is not read.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        page = first_full_size(file)
        count = how_many_full_size(file)
        remarks: tuple[str, ...] = (f"holds {count} pictures; the first is read",) if count > 1 else ()
        photometric = _photometric(page)
        if photometric in RAW:
            raise Unsupported("raw data of a camera: give it its own suffix, as .dng, or develop it")
        if photometric not in COLOURS:
            raise Unsupported(f"{photometric} TIFF: save it as RGB or grey")
        check_complete(page, size)
        samples = _samples(stream, page, photometric)
        pixels = _colours(samples, page, photometric)
        n_colours, kinds = channels.meanings(pixels.shape[2], photometric.startswith("MINIS"), page.extrasamples)
        order, premultiplied = channels.alpha_first(n_colours, kinds)
        pixels = pixels[..., order]
        if premultiplied:
            colours, alpha = pixels[..., :n_colours], pixels[..., n_colours : n_colours + 1]
            pixels = np.concatenate([channels.straight(colours, alpha), pixels[..., n_colours:]], axis=2)
        if photometric == "SEPARATED":
            remarks += (INKS,)
        return Stored(
            channels.quantised(pixels),
            n_colours,
            alpha=any(kinds),
            orientation=_orientation(page),
            icc=None if photometric == "SEPARATED" else page.iccprofile,
            metadata=Metadata(read_exif(stream), _xmp(page), read_dpi(page)),
            remarks=remarks,
        )


def _samples(stream: BinaryIO, page: Any, photometric: str) -> NDArray[Any]:
    """``(H, W, samples)`` as stored."""
    if photometric == "YCBCR" and (page.compression != JPEG or page.planarconfig != CONTIGUOUS):
        return _by_pillow(stream, page)
    samples = page.asarray()
    if page.axes.startswith("S"):
        samples = np.moveaxis(samples, 0, -1)
    return samples.reshape(page.imagelength, page.imagewidth, -1)


def _by_pillow(stream: BinaryIO, page: Any) -> NDArray[Any]:
    """RGB of YCbCr that is not in JPEG's own form, which tifffile does not convert."""
    if page.compression == UNCOMPRESSED and page.planarconfig == CONTIGUOUS:  # Pillow below 13 reads four channels
        size = (page.imagewidth, page.imagelength)
        return np.asarray(Image.frombytes("YCbCr", size, page.asarray().tobytes()).convert("RGB"))
    stream.seek(0)
    image = TiffImagePlugin.TiffImageFile(BytesIO(stream.read()))
    image.seek(page.index)
    return np.asarray(image.convert("RGB"))


def _colours(samples: NDArray[Any], page: Any, photometric: str) -> NDArray[Any]:
    """Grey or RGB, and the other channels."""
    if not isinstance(page.bitspersample, int):
        raise Unsupported(f"channels of {page.bitspersample} bits: save them with 8 or 16 bits each")
    if photometric == "PALETTE":
        return channels.looked_up(samples, _table(page))
    levels = channels.to_levels(samples, page.bitspersample)
    if photometric == "SEPARATED":
        if levels.shape[2] < 4:
            raise Unsupported(f"{levels.shape[2]} inks: save it as RGB or grey")
        return np.concatenate([channels.cmyk_to_rgb(levels[..., :4]), levels[..., 4:]], axis=2)
    if photometric == "MINISWHITE":
        return np.concatenate([channels.inverted(levels[..., :1]), levels[..., 1:]], axis=2)
    return levels


def _photometric(page: Any) -> str:
    return tifffile.PHOTOMETRIC(page.photometric).name


def _table(page: Any) -> NDArray[Any]:
    if page.colormap is None:
        raise ValueError("the palette is missing")
    return np.asarray(page.colormap)


def _orientation(page: Any) -> int:
    tag = page.tags.get(TAG)
    return valid(tag.value if tag is not None else None, _xmp(page))


def _xmp(page: Any) -> bytes | None:
    tag = page.tags.get(XMP)
    return bytes(tag.value) if tag is not None and isinstance(tag.value, bytes) else None


def encode(
    pixels: NDArray[Any], icc: bytes | None = None, metadata: Metadata | None = None, n_unspecified: int = 0
) -> bytes:
    """A whole ZIP-compressed file.

    Args:
        pixels: ``(H, W, C)``, ``uint8`` or ``uint16``: ``C`` as for PNG, then the channels of unspecified meaning.
        icc: colour profile.
        metadata: what else to carry.
        n_unspecified: number of channels of unspecified meaning.
    """
    exif, xmp, dpi, _ = metadata or Metadata()
    stream = BytesIO()
    count = pixels.shape[2]
    known = count - n_unspecified
    tifffile.imwrite(
        stream,
        pixels if count > 1 else pixels[..., 0],
        photometric="rgb" if known >= 3 else "minisblack",
        planarconfig="contig" if count > 1 else None,
        extrasamples=["unassalpha"] * (known % 2 == 0) + ["unspecified"] * n_unspecified or None,
        compression="zlib",
        iccprofile=icc,
        metadata=None,
        software=False,
        resolution=dpi,
        resolutionunit=None if dpi is None else "inch",
        extratags=None if xmp is None else [(XMP, "B", len(xmp), xmp, True)],
    )
    return stream.getvalue() if exif is None else add_exif(stream.getvalue(), exif)
