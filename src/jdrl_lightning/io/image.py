"""Exact reading and writing of pictures: what was stored with 16 bits stays 16 bits."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io import png, tiff
from jdrl_lightning.io.atomic import atomic_write

__all__ = [
    "SUFFIXES", "Header", "Picture", "header", "image_files", "read_image", "read_picture", "write_image",
]  # fmt: skip

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_EIGHT_BIT = ("JPEG", "BMP", "WEBP")  # formats that never hold more than 8 bits, so Pillow reads them exactly
_ORIENTATION = 0x0112
_TURNED = (5, 6, 7, 8)  # orientations that swap height and width
# What the libraries raise for damaged files; png.decode turns kornia_rs's bare exceptions into ValueError.
_DAMAGED = (ValueError, KeyError, IndexError, TypeError, OSError, SyntaxError, EOFError, struct.error, zlib.error,
            Image.DecompressionBombError)  # fmt: skip


class Header(NamedTuple):
    """Size in pixels as the picture is meant to be seen (EXIF orientation applied), and bits a channel."""

    height: int
    width: int
    depth: int


class Picture(NamedTuple):
    """A picture and what is needed to write its like.

    Attributes:
        image: ``(3, H, W)``, ``uint8`` or ``uint16``; the channels of a grey picture are equal.
        alpha: ``(1, H, W)``, same type, or None.
        grey: whether the file held one colour channel.
        icc: colour profile, or None.
        depth: 8 or 16.
    """

    image: Tensor
    alpha: Tensor | None
    grey: bool
    icc: bytes | None
    depth: int


def image_files(folder: Path) -> list[Path]:
    """The pictures directly in ``folder``, sorted by name; hidden files and other kinds are passed over."""
    found = (p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    return sorted(p for p in found if p.is_file())


def read_image(path: str | Path) -> Tensor:
    """The colours of a picture, ``(3, H, W)``, ``uint8`` or ``uint16`` as stored; see ``read_picture``."""
    return read_picture(path).image


def read_picture(path: str | Path) -> Picture:
    """Read PNG, TIFF (8, 16 bits, or float in [0, 1], which becomes 16 bits), JPEG, BMP or WebP, by content.

    The orientation that the camera noted is applied to the pixels.

    Raises:
        UserError: missing, empty, damaged or unsupported file; NaN, infinity or values outside [0, 1] in a float TIFF.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        if data.startswith(png.SIGNATURE):
            head = png.read_head(BytesIO(data))
            pixels, icc, orientation = png.decode(data), head.icc, _orientation(head.exif)
        elif data.startswith(tiff.SIGNATURES):
            pixels, icc, orientation = tiff.decode(path)
        else:
            pixels, icc, orientation = _read_eight_bit(data)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    channels = torch.from_numpy(np.ascontiguousarray(_upright(pixels, orientation).transpose(2, 0, 1)))
    n_colours = 1 if len(channels) < 3 else 3
    return Picture(
        image=channels[:3] if n_colours == 3 else channels[:1].repeat(3, 1, 1),
        alpha=channels[n_colours:] if len(channels) > n_colours else None,
        grey=n_colours == 1,
        icc=icc,
        depth=8 * channels.element_size(),
    )


def header(path: str | Path) -> Header:
    """Size and depth of a picture without decoding it.

    Raises:
        UserError: the file is missing, empty or no picture.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            if start == png.SIGNATURE:
                head = png.read_head(stream)
                height, width, depth, orientation = head.height, head.width, max(head.depth, 8), _orientation(head.exif)
            elif start.startswith(tiff.SIGNATURES):
                height, width, depth, orientation = tiff.read_head(stream)
            else:
                with Image.open(stream, formats=_EIGHT_BIT) as image:
                    (width, height), depth, orientation = image.size, 8, _pillow_orientation(image)
    except _DAMAGED as error:
        raise _unreadable(path, error) from error
    return Header(width, height, depth) if orientation in _TURNED else Header(height, width, depth)


def write_image(
    path: str | Path, image: Tensor, alpha: Tensor | None = None, grey: bool = False, icc: bytes | None = None
) -> None:
    """Write a PNG, a TIFF or (8 bits) a JPEG, by the suffix; the file appears whole or not at all.

    Args:
        path: its folder is made if it is missing.
        image: ``(3, H, W)``, ``uint8`` or ``uint16``.
        alpha: ``(1, H, W)``, same type.
        grey: write one channel, the rounded mean of the three.
        icc: colour profile to put into the file.

    Raises:
        UserError: the suffix is of no format that can hold the picture.
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
        data = _encode_jpeg(pixels, icc)
    else:
        kind = f"{8 * image.element_size()}-bit picture{'' if alpha is None else ' with alpha'}"
        raise UserError(f"{path}: cannot write a {kind} as {suffix or 'a file without suffix'!r}; use .png or .tif")
    with atomic_write(path) as file:
        file.write(data)


def _read_eight_bit(data: bytes) -> tuple[NDArray[Any], bytes | None, int]:
    with Image.open(BytesIO(data), formats=_EIGHT_BIT) as image:
        orientation = _pillow_orientation(image)
        icc = image.info.get("icc_profile") if image.mode in ("L", "LA", "RGB", "RGBA") else None
        mode = image.mode if image.mode in ("L", "RGB", "RGBA") else "L" if image.mode == "1" else "RGB"
        pixels = np.array(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1), icc, orientation


def _orientation(exif: bytes | None) -> int:
    if exif is None:
        return 1
    tags = Image.Exif()
    try:
        tags.load(exif)
        return tags.get(_ORIENTATION, 1)
    except _DAMAGED:  # damaged metadata does not make the pixels unreadable
        return 1


def _pillow_orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1


def _upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Undo EXIF orientation 1 to 8 on ``(H, W, C)``."""
    if orientation in _TURNED:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path}: no such file")
    if isinstance(error, PermissionError | IsADirectoryError):
        return UserError(f"{path}: {error.strerror}")
    if path.stat().st_size == 0:
        return UserError(f"{path}: the file is empty; copy it anew")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "no PNG, TIFF, JPEG, BMP or WebP"
    return UserError(f"{path}: cannot be read ({reason}); replace or remove it")


def _encode_jpeg(pixels: NDArray[Any], icc: bytes | None) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        stream, "JPEG", quality=95, subsampling=0, icc_profile=icc
    )
    return stream.getvalue()
