"""Small files of every format that is read, in many kinds, as picture files for the benchmarks and the tests."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from jdrl_lightning.io import png
from jdrl_lightning.io.stored import Metadata

SIDE = 48, 40  # px


def pixels(channels: int, depth: int = 8) -> NDArray[Any]:
    """Smooth with a little noise, ``(48, 40, channels)``."""
    rng = np.random.default_rng(channels)
    ramp = np.add.outer(np.arange(SIDE[0]), np.arange(SIDE[1]))[..., None] / sum(SIDE)
    values = (ramp * 0.9 + rng.uniform(0, 0.1, (*SIDE, channels))) * (2**depth - 1)
    return values.astype(np.uint8 if depth == 8 else np.uint16)


def by_pillow(form: str, mode: str = "RGB", **options: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels(3)).convert(mode).save(stream, form, **options)
    return stream.getvalue()


def by_tifffile(array: NDArray[Any], **options: Any) -> bytes:
    stream = BytesIO()
    tifffile.imwrite(stream, array, **options)
    return stream.getvalue()


def pngs() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    metadata = Metadata(exif.tobytes()[6:], b"<x:xmpmeta/>", (300.0, 300.0))
    made = [png.encode(pixels(channels, depth)) for channels in (1, 2, 3, 4) for depth in (8, 16)]
    made += [png.encode(pixels(3), b"a profile", metadata), by_pillow("PNG", "P"), by_pillow("PNG", "1")]
    return [*made, by_pillow("PNG", transparency=(1, 2, 3)), imagecodecs.apng_encode(np.stack([pixels(3)] * 2))]


def jpegs() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 5
    second = Image.fromarray(pixels(3)).rotate(180)
    made = [by_pillow("JPEG", mode) for mode in ("RGB", "L", "CMYK")]
    made += [by_pillow("JPEG", progressive=True), by_pillow("JPEG", exif=exif, icc_profile=b"a profile", xmp=b"<x/>")]
    return [*made, by_pillow("MPO", save_all=True, append_images=[second])]


def tiffs() -> list[bytes]:
    rgb, deep = {"photometric": "rgb"}, pixels(3, 16)
    made = [
        by_tifffile(pixels(3), **rgb, compression=name) for name in (None, "lzw", "zlib", "packbits", "jpeg", "zstd")
    ]
    made += [by_tifffile(deep, **rgb, **options) for options in (
        {"compression": "lzw", "predictor": True}, {"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True},
        {"byteorder": ">"}, {"rowsperstrip": 5},
    )]  # fmt: skip
    made += [by_tifffile(np.moveaxis(deep, 2, 0), **rgb, planarconfig="separate", compression="lzw")]
    made += [
        by_tifffile(pixels(4), **rgb, extrasamples=["assocalpha"]),
        by_tifffile((deep / 65535).astype("f4"), **rgb),
    ]
    made += [by_tifffile(pixels(1, 16)[..., 0] >> 4, photometric="minisblack", bitspersample=12)]
    made += [by_pillow("TIFF", "1", compression="group4"), by_pillow("TIFF", "P"), by_pillow("TIFF", "CMYK")]
    return [*made, by_pillow("TIFF", "YCbCr"), by_pillow("TIFF", save_all=True, append_images=[Image.new("L", (9, 9))])]


def webps() -> list[bytes]:
    second = Image.fromarray(pixels(3)).rotate(180)
    made = [by_pillow("WEBP"), by_pillow("WEBP", lossless=True), by_pillow("WEBP", "RGBA", icc_profile=b"a profile")]
    return [*made, by_pillow("WEBP", save_all=True, append_images=[second])]


def bmps() -> list[bytes]:
    return [by_pillow("BMP", mode) for mode in ("RGB", "RGBA", "L", "P", "1")]


def avifs() -> list[bytes]:
    return [by_pillow("AVIF"), by_pillow("AVIF", "RGBA"), imagecodecs.avif_encode(pixels(3, 16) >> 6, bitspersample=10)]


def heics() -> list[bytes]:
    import pillow_heif

    made = []
    for image in (Image.fromarray(pixels(3)), Image.fromarray(pixels(4))):
        stream = BytesIO()
        pillow_heif.from_pillow(image).save(stream, quality=90)
        made.append(stream.getvalue())
    return made


def dngs() -> list[bytes]:
    matrix = [part for value in (1, 0, 0, 0, 1, 0, 0, 0, 1) for part in (value, 1)]
    tags = [
        (33421, "H", 2, (2, 2), True),  # the colour filter's period
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),  # and colours
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),  # version
        (50708, "s", 0, "a camera", True),
        (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, (1, 1, 1, 1, 1, 1), True),  # white
    ]
    return [by_tifffile(pixels(1, 16)[..., 0], photometric="cfa", extratags=tags)]


FORMATS: dict[str, tuple[str, Callable[[], list[bytes]]]] = {
    "PNG": ("png", pngs), "JPEG": ("jpg", jpegs), "TIFF": ("tif", tiffs), "WebP": ("webp", webps), "BMP": ("bmp", bmps),
    "AVIF": ("avif", avifs),
    **({"HEIC": ("heic", heics)} if find_spec("pillow_heif") else {}),
    **({"DNG": ("dng", dngs)} if find_spec("rawpy") else {}),
}  # fmt: skip
