"""JPEG, BMP and AVIF by Pillow, which reads 8 bits per channel exactly."""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, BmpImagePlugin, Image, JpegImagePlugin

from jdrl_lightning.io.limits import check_data, check_pixels
from jdrl_lightning.io.orientation import PREFIX, pillow_orientation
from jdrl_lightning.io.stored import INKS, Head, Metadata, Stored

__all__ = ["decode", "encode_jpeg", "read_head"]

JPEG_RATIO = 1024  # the most pixels that one byte can become, at one bit for each block of 8×8
ARITHMETIC = (b"\xff\xc9", b"\xff\xca")  # markers of JPEGs whose code has no least number of bits
SEGMENT = 65500  # bytes; what a JPEG holds of metadata of one kind


def read_head(stream: BinaryIO) -> Head:
    """Size as stored, 8 bits, orientation."""
    with _opened(stream) as image:
        return Head(image.height, image.width, 8, pillow_orientation(image))


def decode(stream: BinaryIO) -> Stored:
    """Decode a whole file; Pillow's errors for damaged ones."""
    with _opened(stream) as image:
        _check_promise(stream, image)
        icc = image.info.get("icc_profile") if image.mode in ("L", "LA", "RGB", "RGBA") else None
        mode = image.mode if image.mode in ("L", "RGB", "RGBA") else "L" if image.mode == "1" else "RGB"
        frames = getattr(image, "n_frames", 1)
        remarks: tuple[str, ...] = (f"holds {frames} pictures; the first is read",) if frames > 1 else ()
        if image.mode == "CMYK":
            remarks += (INKS,)
        pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        return Stored(
            pixels.reshape(*pixels.shape[:2], -1),
            colours=1 if mode == "L" else 3,
            alpha=mode == "RGBA",
            orientation=pillow_orientation(image),
            icc=icc,
            metadata=_metadata(image),
            remarks=remarks,
        )


def _opened(stream: BinaryIO) -> Image.Image:
    """The image, not yet decoded.

    ``Image.open`` has a limit of its own, which cannot be set for one call; here ours is checked instead.

    Raises:
        Image.UnidentifiedImageError: none of the formats.
    """
    start = stream.read(12)
    stream.seek(0)
    if start.startswith(b"\xff\xd8\xff"):
        image: Image.Image = JpegImagePlugin.jpeg_factory(stream)
    elif start.startswith(b"BM"):
        image = BmpImagePlugin.BmpImageFile(stream)
    elif start[4:8] == b"ftyp":
        image = AvifImagePlugin.AvifImageFile(stream)
    else:
        raise Image.UnidentifiedImageError
    check_pixels(image.height, image.width)
    return image


def _check_promise(stream: BinaryIO, image: Any) -> None:
    """Check that the file is long enough for its size, as far as its format permits to tell."""
    stream.seek(0)
    if image.format in ("JPEG", "MPO"):
        data = stream.read()
        if not any(marker in data for marker in ARITHMETIC):
            check_data(image.height * image.width, len(data), JPEG_RATIO)
    elif image.format == "BMP" and image.tile[0][0] == "raw":
        check_data(image.height * image.tile[0][3][1], stream.seek(0, 2), 1)


def _metadata(image: Image.Image) -> Metadata:
    """EXIF data, XMP packet and resolution of an image that Pillow has opened."""
    exif, dpi = image.info.get("exif"), image.info.get("dpi")
    made_up = image.format in ("JPEG", "MPO") and not image.info.get("jfif_unit")  # out of EXIF data, which has it too
    return Metadata(
        exif=exif.removeprefix(PREFIX) if exif else None,
        xmp=image.info.get("xmp"),
        dpi=None if dpi is None or made_up or min(dpi) <= 0 else (float(dpi[0]), float(dpi[1])),
    )


def encode_jpeg(pixels: NDArray[Any], icc: bytes | None, metadata: Metadata | None = None) -> bytes:
    """A JPEG file (quality 95, no chroma subsampling) of ``(H, W, 1 or 3)`` ``uint8``."""
    exif, xmp, dpi, _ = metadata or Metadata()
    more: dict[str, Any] = {} if dpi is None else {"dpi": dpi}
    if exif is not None and len(exif) < SEGMENT:
        more["exif"] = PREFIX + exif
    if xmp is not None and len(xmp) < SEGMENT:
        more["xmp"] = xmp
    stream = BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels).save(
        stream, "JPEG", quality=95, subsampling=0, icc_profile=icc, **more
    )
    return stream.getvalue()
