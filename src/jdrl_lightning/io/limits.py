"""How large a picture may be; and whether a file can hold what its header promises, before memory is taken for it."""

from __future__ import annotations

import os

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.stored import Unsupported

__all__ = ["check_data", "check_pixels"]

SETTING, DEFAULT = "JDRL_MAX_MEGAPIXELS", 300
SLACK = 4096  # bytes


def check_pixels(height: int, width: int) -> None:
    """Check a size against the limit, the same for all formats.

    Raises:
        Unsupported: more pixels than the limit.
        ValueError: no pixels at all.
        UserError: the limit is not a number.
    """
    text = os.environ.get(SETTING, str(DEFAULT))
    try:
        limit = float(text)
    except ValueError:
        raise UserError(f"{SETTING}={text}: must be a number, in millions of pixels") from None
    if height < 1 or width < 1:
        raise ValueError("no image size")
    if height * width > limit * 1e6:
        raise Unsupported(
            f"{width}x{height} pixels exceed the limit of {limit:g} megapixels; set the environment variable "
            f"{SETTING}={-(-height * width // 10**6)} if the file is trusted, or scale it down"
        )


def check_data(promised: int, held: int, ratio: int) -> None:
    """Check that ``held`` bytes of a file can decode to ``promised`` bytes.

    Args:
        ratio: the most bytes that one compressed byte can become.

    Raises:
        ValueError: they cannot.
    """
    if promised > ratio * held + SLACK:
        raise ValueError(f"the header promises {promised:,} bytes of pixels, but the file holds only {held:,}")
