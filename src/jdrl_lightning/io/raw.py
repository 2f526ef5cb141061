"""Raw files of cameras, developed by LibRaw into 16-bit sRGB."""

from __future__ import annotations

from typing import Any, BinaryIO

from jdrl_lightning.io.heif import extra
from jdrl_lightning.io.limits import check_pixels
from jdrl_lightning.io.stored import Head, Metadata, Stored
from jdrl_lightning.io.tiff_metadata import read_exif

__all__ = ["decode", "read_head"]

TURNED = (5, 6)  # LibRaw's flips by a quarter


def read_head(stream: BinaryIO) -> Head:
    """Size once developed and upright, 16 bits."""
    with _opened(stream) as raw:
        return Head(*_size(raw), 16)


def decode(stream: BinaryIO) -> Stored:
    """Develop with the camera's white balance, without any automatic brightening; LibRaw turns the pixels upright."""
    with _opened(stream) as raw:
        check_pixels(*_size(raw))
        pixels = raw.postprocess(use_camera_wb=True, no_auto_bright=True, output_bps=16)
    return Stored(pixels, colours=3, metadata=Metadata(read_exif(stream)))


def _opened(stream: BinaryIO) -> Any:
    return extra("rawpy", "a raw file").imread(stream)


def _size(raw: Any) -> tuple[int, int]:
    sizes = raw.sizes
    return (sizes.iwidth, sizes.iheight) if sizes.flip in TURNED else (sizes.iheight, sizes.iwidth)
