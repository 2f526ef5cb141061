"""Numbers, intervals and lists as the report writes them; a number that is not finite becomes a dash."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["interval", "level", "listed", "number", "percent", "psnr_interval", "signed", "spelled", "verdict"]


def number(value: float, digits: int) -> str:
    """With ``digits`` decimals."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def signed(value: float) -> str:
    """A difference, with its sign and two decimals."""
    return f"{value:+.2f}".replace("-", "−") if math.isfinite(value) else "–"


def percent(value: float) -> str:
    """A fraction, in whole percent."""
    return f"{100 * value:.0f}\N{NO-BREAK SPACE}%".replace("-", "−") if math.isfinite(value) else "–"


def level(results: Mapping[str, Any]) -> str:
    """The name of the intervals: ``95 % interval``."""
    return f"{percent(results['intervals']['level'])} interval"


def interval(results: Mapping[str, Any], key: str) -> str:
    """``95 % interval +0.34 to +0.84 dB`` if ``key`` is a difference in dB, ``… 60 % to 80 %`` if it is a fraction."""
    low, high = results["intervals"][key]
    ends = f"{signed(low)} to {signed(high)} dB" if key.endswith("_db") else f"{percent(low)} to {percent(high)}"
    return f"{level(results)} {ends}"


def verdict(results: Mapping[str, Any], key: str) -> str:
    """Whether the interval of ``key`` excludes zero, in words."""
    low, high = results["intervals"][key]
    return "excludes zero" if low > 0 or high < 0 else "includes zero"


def psnr_interval(results: Mapping[str, Any], method: str) -> str:
    """Both ends of the interval of a row's PSNR, dB."""
    ends = results["intervals"]["psnr"].get(method)
    return "–" if ends is None else " to ".join(number(end, 2) for end in ends)


def listed(parts: Sequence[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def spelled(count: int) -> str:
    """A small count in words, a larger one in digits."""
    return ("no", "one", "two", "three", "four", "five", "six")[count] if count <= 6 else str(count)
