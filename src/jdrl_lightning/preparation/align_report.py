"""The report of a registration: each pair's misalignment before and after, and the pairs that failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.metrics.report import markdown_table, write_csv
from jdrl_lightning.preparation.align import Alignment

__all__ = ["totals", "write_report"]

SHOWN = 5  # failed pairs named in the totals


def totals(alignments: Sequence[Alignment]) -> str:
    """The totals in one or two sentences."""
    good = [one for one in alignments if not one.problem]
    text = f"{len(good)} of {len(alignments)} pairs registered"
    if good:
        before, after = (fmean(getattr(one, name) for one in good) for name in ("before_px", "after_px"))
        shift = max(math.hypot(one.dx_px, one.dy_px) for one in good)
        zoom, rotation = (max((getattr(one, n) for one in good), key=abs) for n in ("zoom_percent", "rotation_deg"))
        text += (
            f"; mean |flow| {before:.2f} px before, {after:.2f} px after; at most {shift:.2f} px of shift, {zoom:+.2f} "
            f"% of zoom, {rotation:+.2f} degrees of rotation"
        )
    bad = [f"{one.name} ({one.problem})" for one in alignments if one.problem]
    return f"{text}. Left out: {and_more(bad, SHOWN)}." if bad else f"{text}."


def write_report(output: Path, splits: Mapping[str, Sequence[Alignment]]) -> None:
    """Write ``report.csv`` and ``report.md`` into ``output``, a row for each pair of each split.

    Raises:
        UserError: no pair could be registered; the report is written nevertheless.
    """
    rows: list[dict[str, float | str]] = [
        {
            "split": split,
            "name": one.name,
            "before_px": one.before_px,
            "after_px": one.after_px,
            "shift_px": math.hypot(one.dx_px, one.dy_px),
            "dx_px": one.dx_px,
            "dy_px": one.dy_px,
            "zoom_percent": one.zoom_percent,
            "rotation_deg": one.rotation_deg,
            "frame": f"{one.frame.width}x{one.frame.height}+{one.frame.left}+{one.frame.top}",
            "problem": one.problem,
        }
        for split, alignments in splits.items()
        for one in alignments
    ]
    write_csv(output / "report.csv", rows)
    lines = ["# Registered pairs", ""]
    lines += [f"- {split}: {totals(alignments)}" for split, alignments in splits.items()]
    lines += [
        "",
        "before, after: mean flow magnitude between the two images (gauss_newton). shift, zoom, rotation: of the sharp "
        "image relative to the blurry one, before registration. frame: the part of the blurry image that was kept, "
        "width x height + left + top. problem: why the pair was not registered; it is not written.",
        "",
    ]
    with atomic_write(output / "report.md", "w") as file:
        file.write("\n".join(lines) + "\n" + markdown_table(rows))
    if all(one.problem for alignments in splits.values() for one in alignments):
        raise UserError(
            f"no pair could be registered, see {output / 'report.md'}; check which files are partners (data.pair_by)"
        )
