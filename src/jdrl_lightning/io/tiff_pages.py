"""Which page of a TIFF is the picture, and whether its data are all there; pages are tifffile's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import Any

import tifffile

from jdrl_lightning.io.limits import check_data, check_pixels
from jdrl_lightning.io.stored import Unsupported

__all__ = ["check_complete", "first_full_size", "how_many_full_size"]

NOT_A_PICTURE = 1 | 4  # bits of the tag NewSubfileType: a reduced copy, a mask
SUBFILE, REDUCED = 255, 2  # the old tag SubfileType, and its value for a reduced copy
MAX_PAGES = 1000
MAX_CHANNELS = 8
NONE = 1  # value of the tag Compression
# The most bytes that one compressed byte can become, by that value; others are unbounded.
RATIOS = {NONE: 1, 5: 1400, 8: 1032, 32946: 1032, 32773: 64}


def first_full_size(file: tifffile.TiffFile) -> tifffile.TiffPage:
    """The first page that is neither a thumbnail nor a mask, subpages included; else the first page."""
    return next((page for page in _pages(file) if _full_size(page)), file.pages.first)


def how_many_full_size(file: tifffile.TiffFile) -> int:
    """Number of pages that are neither thumbnails nor masks, at most ``MAX_PAGES``."""
    return sum(map(_full_size, islice(_pages(file), MAX_PAGES)))


def check_complete(page: tifffile.TiffPage, size: int) -> None:
    """Check, before memory is taken, a page of a file of ``size`` bytes.

    Raises:
        ValueError: truncated, or the data cannot hold what the header promises.
        Unsupported: too large, or too many channels.
    """
    check_pixels(page.imagelength, page.imagewidth)
    channels = page.samplesperpixel
    if not 1 <= channels <= MAX_CHANNELS or page.imagedepth != 1 or len(page.shape) > 3:
        raise Unsupported(f"TIFF of {channels} channels and depth {page.imagedepth}: save it as RGB or grey")
    if page.is_tiled:
        check_pixels(page.tilelength, page.tilewidth)
    offsets, counts = page.dataoffsets, page.databytecounts
    if len(offsets) < prod(page.chunked) or len(offsets) != len(counts):
        raise ValueError("parts of the picture are missing")
    held = [min(count, size - start) for start, count in zip(offsets, counts, strict=True)]
    if min(held) < 1 or (page.compression != NONE and held != list(counts)):
        raise ValueError("the file is truncated")
    if page.compression in RATIOS:
        bits = page.bitspersample if isinstance(page.bitspersample, int) else min(page.bitspersample)
        promised = page.imagelength * page.imagewidth * channels * bits // 8
        if page.is_tiled:
            promised = max(promised, page.tilelength * page.tilewidth * bits // 8)
        check_data(promised, sum(held), RATIOS[page.compression])


def _pages(file: tifffile.TiffFile) -> Iterator[Any]:
    for page in file.pages:
        yield page
        yield from page.pages or ()


def _full_size(page: Any) -> bool:
    old = page.tags.get(SUBFILE)
    return not page.subfiletype & NOT_A_PICTURE and not (old is not None and old.value == REDUCED)
