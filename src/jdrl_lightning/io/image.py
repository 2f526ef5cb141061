"""Lossless image reading and writing: 16 bits stay 16 bits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io import eight_bit, heif, png, raw, tiff, webp
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.folder import RAW, image_files
from jdrl_lightning.io.orientation import SWAPS_AXES, apply_orientation, upright
from jdrl_lightning.io.remarks import remark
from jdrl_lightning.io.stored import Head, Metadata, Stored, Unsupported
from jdrl_lightning.io.written import TIFF, misfit

__all__ = ["Header", "Metadata", "Picture", "header", "image_files", "read_image", "read_picture", "write_image"]


Reader = tuple[Callable[[BinaryIO], Head], Callable[[BinaryIO], Stored]]


class Header(NamedTuple):
    """Size in pixels with the EXIF orientation applied, and bits per channel."""

    height: int
    width: int
    depth: int


class Picture(NamedTuple):
    """An image, and what it takes to write another file of the same kind.

    Attributes:
        image: ``(3, H, W)``, ``uint8`` or ``uint16``; a grey image has three equal channels.
        alpha: ``(1, H, W)``, same type, not premultiplied, or None.
        grey: whether the file has a single colour channel.
        icc: colour profile, or None.
        depth: bits per channel, 8 or 16.
        others: ``(N, H, W)``, same type: a TIFF's channels of unspecified meaning, as infrared; or None.
        metadata: EXIF data, XMP packet, resolution and PNG's colour chunks, of upright pixels.
    """

    image: Tensor
    alpha: Tensor | None
    grey: bool
    icc: bytes | None
    depth: int
    others: Tensor | None = None
    metadata: Metadata = Metadata()


def read_image(path: str | Path) -> Tensor:
    """The colours of an image, ``(3, H, W)``, ``uint8`` or ``uint16`` as stored; see ``read_picture``."""
    return read_picture(path).image


def read_picture(path: str | Path) -> Picture:
    """Read PNG, TIFF, JPEG, BMP, WebP, AVIF or HEIC, detected by content, or a camera's raw file, by its suffix.

    The EXIF orientation is applied to the pixels. A depth that is neither 8 nor 16 becomes 16, except in a PNG, where
    less than 8 becomes 8; so does float in [0, 1]. Of a file with several pictures the first is read, thumbnails aside,
    and a line says so.

    Raises:
        UserError: missing, empty, damaged or unsupported file; NaN, infinity or values outside [0, 1] in a float TIFF.
    """
    path = Path(path)
    with _opened(path) as (stream, (_, decode)):
        stored = decode(stream)
    for text in stored.remarks:
        remark(path, text)
    upright_pixels = apply_orientation(stored.pixels, stored.orientation).transpose(2, 0, 1)
    channels = torch.from_numpy(np.require(upright_pixels, requirements=["C", "W"]))
    end = stored.colours + stored.alpha
    return Picture(
        image=channels[:3] if stored.colours == 3 else channels[:1].repeat(3, 1, 1),
        alpha=channels[stored.colours : end] if stored.alpha else None,
        grey=stored.colours == 1,
        icc=stored.icc,
        depth=8 * channels.element_size(),
        others=channels[end:] if len(channels) > end else None,
        metadata=upright(stored.metadata, stored.orientation),
    )


def header(path: str | Path) -> Header:
    """Size and depth of an image without decoding it.

    Raises:
        UserError: the file is missing, empty, not an image, or too large.
    """
    path = Path(path)
    with _opened(path) as (stream, (read_head, _)):
        head = read_head(stream)
    height, width = (head.width, head.height) if head.orientation in SWAPS_AXES else (head.height, head.width)
    return Header(height, width, head.depth)


def write_image(
    path: str | Path,
    image: Tensor,
    alpha: Tensor | None = None,
    grey: bool = False,
    icc: bytes | None = None,
    others: Tensor | None = None,
    metadata: Metadata | None = None,
) -> None:
    """Write a PNG, a TIFF or (8 bits) a JPEG, by the suffix; atomic.

    Args:
        path: missing folders are created.
        image: ``(3, H, W)``, ``uint8`` or ``uint16``.
        alpha: ``(1, H, W)``, same type.
        grey: write one channel, the rounded mean of the three.
        icc: colour profile to embed.
        others: ``(N, H, W)``, same type: channels of unspecified meaning, which only a TIFF holds.
        metadata: what else to embed, as far as the format holds it.

    Raises:
        UserError: the format of the suffix cannot hold the image.
    """
    path = Path(path)
    if image.dtype not in (torch.uint8, torch.uint16):
        raise TypeError(f"image must be uint8 or uint16, not {image.dtype}")
    n_others = 0 if others is None else len(others)
    if problem := misfit(path, 8 * image.element_size(), alpha is not None, n_others):
        kind, suffixes = problem
        raise UserError(f"{path}: cannot write {kind} as {path.suffix or 'a file without suffix'!r}; use {suffixes}")
    pixels = image.permute(1, 2, 0).cpu().numpy()
    if grey:
        pixels = pixels.mean(axis=2, keepdims=True, dtype=np.float64).round().astype(pixels.dtype)
    more = [extra.permute(1, 2, 0).cpu().numpy() for extra in (alpha, others) if extra is not None]
    pixels = np.concatenate([pixels, *more], axis=2) if more else pixels
    suffix = path.suffix.lower()
    if suffix in TIFF:
        data = tiff.encode(pixels, icc, metadata, n_others)
    else:
        data = (png.encode if suffix == ".png" else eight_bit.encode_jpeg)(pixels, icc, metadata)
    with atomic_write(path) as file:
        file.write(data)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, Reader]]:
    """A file and what reads it; errors inside the block become one line."""
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
            stream.seek(0, 2)  # empties the buffer: reading all of a file would copy it once more
            stream.seek(0)
            yield stream, _reader(start, path)
    except UserError:
        raise
    except Unsupported as error:
        raise UserError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file makes the decoders' libraries raise nearly anything
        raise _unreadable(path, error) from error


def _reader(start: bytes, path: Path) -> Reader:
    """What reads a file that begins with ``start``."""
    if start.startswith(png.SIGNATURE):
        return png.read_head, png.decode
    if path.suffix.lower() in RAW:
        return raw.read_head, raw.decode
    if start.startswith(tiff.SIGNATURES):
        return tiff.read_head, tiff.decode
    if webp.is_webp(start):
        return webp.read_head, webp.decode
    if start[4:8] != b"ftyp":
        return eight_bit.read_head, eight_bit.decode
    if heif.is_avif(start):
        return heif.read_avif_head, heif.decode_avif
    return heif.read_heic_head, heif.decode_heic


def _unreadable(path: Path, error: Exception) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"{path}: no such file")
    if isinstance(error, PermissionError | IsADirectoryError):
        return UserError(f"{path}: {error.strerror}")
    if path.stat().st_size == 0:
        return UserError(f"{path}: the file is empty; copy it again")
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, Image.UnidentifiedImageError):
        reason = "not a PNG, TIFF, JPEG, BMP, WebP, AVIF or HEIC file"
    return UserError(f"{path}: cannot be read ({reason}); replace or remove it")
