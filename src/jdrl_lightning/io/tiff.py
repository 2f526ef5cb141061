"""TIFF with 8 or 16 bits per channel, or float in [0, 1], by tifffile."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import kornia_rs.io
import numpy as np
import tifffile
from numpy.typing import NDArray

from jdrl_lightning.io.orientation import TAG

__all__ = ["SIGNATURES", "decode", "encode", "read_head"]

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_VALUES = 2**30  # a damaged or malicious header must not make the decoder allocate terabytes


def read_head(stream: BinaryIO) -> tuple[int, int, int, int]:
    """Height and width as stored, bits per decoded channel (8 or 16) and orientation (1 to 8) of the first page."""
    with tifffile.TiffFile(stream) as file:
        page = file.pages.first
        return page.imagelength, page.imagewidth, 8 if page.dtype == np.uint8 else 16, _orientation(page)


def decode(path: Path) -> tuple[NDArray[Any], bytes | None, int]:
    """Decode the first page losslessly.

    Returns:
        ``(H, W, C)``, ``uint8`` or ``uint16`` (float in [0, 1] is rounded to 16 bits), colour profile, orientation.

    Raises:
        ValueError: an unsupported kind, or a float file with NaN, infinity or values outside [0, 1]; damaged files
            raise tifffile's own errors too.
    """
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        photometric = tifffile.PHOTOMETRIC(page.photometric).name
        if photometric not in ("MINISBLACK", "MINISWHITE", "RGB"):
            raise ValueError(f"{photometric} TIFF: save it as RGB or grey")
        if page.dtype not in (np.uint8, np.uint16) and (page.dtype is None or page.dtype.kind != "f"):
            raise ValueError(f"TIFF of type {page.dtype}: save it with 8 or 16 bits, or as float in [0, 1]")
        if page.size > MAX_VALUES:
            raise ValueError(f"{page.size} values exceed the limit of {MAX_VALUES}")
        pixels = _pixels(path, page)
        if not 1 <= pixels.shape[2] <= 4:
            raise ValueError(f"TIFF of {pixels.shape[2]} channels: save it as RGB or grey")
        if pixels.dtype.kind == "f":
            pixels = _quantise(pixels)
        if photometric == "MINISWHITE":
            pixels[..., 0] = np.iinfo(pixels.dtype).max - pixels[..., 0]
        return pixels.astype(pixels.dtype.newbyteorder("=")), page.iccprofile, _orientation(page)


def _pixels(path: Path, page: tifffile.TiffPage) -> NDArray[Any]:
    try:
        pixels = page.asarray()
    except (ValueError, KeyError) as error:
        if "imagecodecs" not in str(error):
            raise
        return _decode_kornia(path, page)  # LZW, PackBits: tifffile needs imagecodecs for these
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    return pixels.reshape(page.imagelength, page.imagewidth, -1)


def _decode_kornia(path: Path, page: tifffile.TiffPage) -> NDArray[Any]:
    kind = {"uint8": "u8", "uint16": "u16", "float32": "f32"}.get(str(page.dtype))
    mode = {1: "mono", 3: "rgb"}.get(page.samplesperpixel)
    if kind is None or mode is None:
        compression = tifffile.COMPRESSION(page.compression).name
        raise ValueError(
            f"{compression}-compressed TIFF of this type is not supported: save it uncompressed or with ZIP"
        )
    try:
        pixels = np.asarray(getattr(kornia_rs.io, f"read_image_tiff_{kind}")(str(path), mode))
    except Exception as error:  # kornia_rs raises a bare Exception for any damaged data
        raise ValueError(str(error)) from error
    return pixels.reshape(page.imagelength, page.imagewidth, -1)


def _quantise(pixels: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(pixels).all():
        raise ValueError("NaN or infinite values: fix the image or remove the pair")
    if pixels.min() < 0 or pixels.max() > 1:
        raise ValueError(f"float values from {pixels.min():g} to {pixels.max():g}: scale them to [0, 1]")
    return (pixels.astype(np.float64) * 65535).round().astype(np.uint16)


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(TAG)
    return 1 if tag is None else int(tag.value)


def encode(pixels: NDArray[Any], icc: bytes | None = None) -> bytes:
    """A whole ZIP-compressed file of ``(H, W, C)``, ``C`` as for PNG, ``uint8`` or ``uint16``."""
    stream = BytesIO()
    channels = pixels.shape[2]
    tifffile.imwrite(
        stream,
        pixels if channels > 1 else pixels[..., 0],
        photometric="rgb" if channels >= 3 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        iccprofile=icc,
        metadata=None,
    )
    return stream.getvalue()
