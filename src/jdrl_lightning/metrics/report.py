"""Tables of per-image figures: written as CSV, averaged, and with intervals that say how much a difference is worth."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.io.atomic import atomic_write

__all__ = [
    "LARGEST_FIRST", "Row", "bootstrap_interval", "bootstrap_means", "central_interval", "figure", "markdown_table",
    "paired_interval", "write_csv",
]  # fmt: skip

Row: TypeAlias = Mapping[str, "float | str | None"]  # None: a figure that could not be computed

DECIMALS = {"psnr": 2, "ssim": 4, "mae": 4, "lpips": 4, "gain": 2}
LARGEST_FIRST = ("psnr", "ssim", "gain")  # of the measures; errors, losses and distances are best when small


def write_csv(path: str | os.PathLike[str], rows: Sequence[Row]) -> None:
    """Write one line an image, figures in full precision; the file appears whole or not at all.

    Raises:
        ValueError: no rows, or rows whose columns differ.
    """
    columns = _columns(rows)
    with atomic_write(path, "w") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)


def markdown_table(rows: Sequence[Row]) -> str:
    """A Markdown table of ``rows``: figures as :func:`figure` writes them.

    Raises:
        ValueError: no rows, or rows whose columns differ.
    """
    columns = _columns(rows)
    numeric = [not isinstance(rows[0][column], str) for column in columns]
    lines = [
        [_escape(column) for column in columns],
        ["---:" if number else "---" for number in numeric],
        *([_escape(figure(column, row[column])) for column in columns] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def figure(column: str, value: float | str | None, sign: str = "") -> str:
    """Two decimals for PSNR, four for SSIM, MAE and LPIPS, three otherwise; a dash where there is none.

    Args:
        column: what it is a figure of, the part after the last ``/`` counts.
        value: words stay as they are.
        sign: ``+`` for differences, which then have a sign always.
    """
    if isinstance(value, str):
        return value
    if value is None or math.isnan(value):
        return "–"
    return f"{value:{sign}.{DECIMALS.get(column.rsplit('/', 1)[-1], 3)}f}"


def bootstrap_means(values: Sequence[float] | NDArray[np.float64], n: int = 2000, seed: int = 0) -> NDArray[np.float64]:
    """``(n,)`` means of ``values`` resampled with replacement.

    Columns of one length are drawn alike, so that differences and ratios of their means are paired.

    Raises:
        ValueError: no values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError("a bootstrap interval needs at least one value")
    picks = np.random.default_rng(seed).integers(len(sample), size=(n, len(sample)))
    return sample[picks].mean(axis=1)


def central_interval(values: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """``(low, high)`` with the middle share ``level`` of ``values`` in between.

    Raises:
        ValueError: a level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level} is not between 0 and 1")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, n: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of ``values``, resampling images.

    Args:
        values: one figure an image.
        level: share of the resampled means inside the interval, in (0, 1).
        n: number of resamplings.
        seed: of the resampling.

    Returns:
        ``(low, high)``.

    Raises:
        ValueError: no values, or a level outside (0, 1).
    """
    return central_interval(bootstrap_means(values, n, seed), level)


def paired_interval(
    first: Sequence[float], second: Sequence[float], level: float = 0.95, n: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap interval of the mean of ``first - second`` over the same images, in the same order.

    Images differ far more than methods do, so two methods can differ clearly though their own intervals overlap.

    Raises:
        ValueError: lengths that differ, or as :func:`bootstrap_interval`.
    """
    if len(first) != len(second):
        raise ValueError(f"paired figures must come from the same images, not {len(first)} and {len(second)}")
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return bootstrap_interval(differences.tolist(), level, n, seed)


def _columns(rows: Sequence[Row]) -> list[str]:
    if not rows:
        raise ValueError("there are no rows to report")
    columns = list(rows[0])
    for number, row in enumerate(rows):
        if set(row) != set(columns):
            raise ValueError(f"row {number} differs from the first in columns {sorted(set(row) ^ set(columns))}")
    return columns


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
