"""Lossless image reading and writing: 16 bits stay 16 bits."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io import eight_bit, png, tiff
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.orientation import DAMAGED, SWAPS_AXES, apply_orientation, exif_orientation

__all__ = [
    "SUFFIXES", "Header", "Picture", "header", "image_files", "read_image", "read_picture", "write_image",
]  # fmt: skip

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


class Header(NamedTuple):
    """Size in pixels with the EXIF orientation applied, and bits per channel."""

    height: int
    width: int
    depth: int


class Picture(NamedTuple):
    """An image, and what it takes to write another file of the same kind.

    Attributes:
        image: ``(3, H, W)``, ``uint8`` or ``uint16``; a grey image has three equal channels.
        alpha: ``(1, H, W)``, same type, or None.
        grey: whether the file has a single colour channel.
        icc: colour profile, or None.
        depth: bits per channel, 8 or 16.
    """

    image: Tensor
    alpha: Tensor | None
    grey: bool
    icc: bytes | None
    depth: int


def image_files(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted by name; hidden files are skipped."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(p for p in found if p.is_file())


def read_image(path: str | Path) -> Tensor:
    """The colours of an image, ``(3, H, W)``, ``uint8`` or ``uint16`` as stored; see ``read_picture``."""
    return read_picture(path).image


def read_picture(path: str | Path) -> Picture:
    """Read PNG, TIFF (8, 16 bits, or float in [0, 1], which becomes 16 bits), JPEG, BMP or WebP, detected by content.

    The EXIF orientation is applied to the pixels.

    Raises:
        UserError: missing, empty, damaged or unsupported file; NaN, infinity or values outside [0, 1] in a float TIFF.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data.startswith(png.SIGNATURE):
            head = png.read_head(BytesIO(data))
            pixels, icc, orientation = png.decode(data), head.icc, exif_orientation(head.exif)
        elif data.startswith(tiff.SIGNATURES):
            pixels, icc, orientation = tiff.decode(path)
        else:
            pixels, icc, orientation = eight_bit.decode(data)
    except DAMAGED as error:
        raise _unreadable(path, error) from error
    channels = torch.from_numpy(np.ascontiguousarray(apply_orientation(pixels, orientation).transpose(2, 0, 1)))
    n_colours = 1 if len(channels) < 3 else 3
    return Picture(
        image=channels[:3] if n_colours == 3 else channels[:1].repeat(3, 1, 1),
        alpha=channels[n_colours:] if len(channels) > n_colours else None,
        grey=n_colours == 1,
        icc=icc,
        depth=8 * channels.element_size(),
    )


def header(path: str | Path) -> Header:
    """Size and depth of an image without decoding it.

    Raises:
        UserError: the file is missing, empty or not an image.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            if start == png.SIGNATURE:
                head = png.read_head(stream)
                height, width, depth = head.height, head.width, max(head.depth, 8)
                orientation = exif_orientation(head.exif)
            elif start.startswith(tiff.SIGNATURES):
                height, width, depth, orientation = tiff.read_head(stream)
            else:
                depth = 8
                height, width, orientation = eight_bit.read_head(stream)
    except DAMAGED as error:
        raise _unreadable(path, error) from error
    return Header(width, height, depth) if orientation in SWAPS_AXES else Header(height, width, depth)


def write_image(
    path: str | Path, image: Tensor, alpha: Tensor | None = None, grey: bool = False, icc: bytes | None = None
) -> None:
    """Write a PNG, a TIFF or (8 bits) a JPEG, by the suffix; atomic.

    Args:
        path: missing folders are created.
        image: ``(3, H, W)``, ``uint8`` or ``uint16``.
        alpha: ``(1, H, W)``, same type.
        grey: write one channel, the rounded mean of the three.
        icc: colour profile to embed.

    Raises:
        UserError: the format of the suffix cannot hold the image.
    """
    path = Path(path)
    if image.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"image must be uint8 or uint16, not {image.dtype}")
    pixels = image.permute(1, 2, 0).cpu().numpy()
    if grey:
        pixels = pixels.mean(axis=2, keepdims=True, dtype=np.float64).round().astype(pixels.dtype)
    if alpha is not None:
        pixels = np.concatenate([pixels, alpha.permute(1, 2, 0).cpu().numpy()], axis=2)
    suffix = path.suffix.lower()
    if suffix == ".png":
        data = png.encode(pixels, icc)
    elif suffix in (".tif", ".tiff"):
        data = tiff.encode(pixels, icc)
    elif suffix in (".jpg", ".jpeg") and image.dtype == torch.uint8 and alpha is None:
        data = eight_bit.encode_jpeg(pixels, icc)
    else:
        kind = f"{8 * image.element_size()}-bit image{'' if alpha is None else ' with alpha'}"
        raise UserError(f"{path}: cannot write a {kind} as {suffix or 'a file without suffix'!r}; use .png or .tif")
    with atomic_write(path) as file:
        file.write(data)


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path}: no such file")
    if isinstance(error, PermissionError | IsADirectoryError):
        return UserError(f"{path}: {error.strerror}")
    if path.stat().st_size == 0:
        return UserError(f"{path}: the file is empty; copy it again")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "not a PNG, TIFF, JPEG, BMP or WebP file"
    return UserError(f"{path}: cannot be read ({reason}); replace or remove it")
