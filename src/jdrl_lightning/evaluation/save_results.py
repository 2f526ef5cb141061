"""What an evaluation leaves behind: figures of each image, their means, tables, and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jdrl_lightning import __version__
from jdrl_lightning.errors import UserError, and_more
from jdrl_lightning.evaluation.contact_sheet import sheet
from jdrl_lightning.evaluation.evaluate_dataset import Figures
from jdrl_lightning.evaluation.histograms import histograms
from jdrl_lightning.evaluation.latex import grouped_table
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.metrics.report import bootstrap_interval, figure, markdown_table, paired_interval, write_csv

__all__ = ["RESTORED", "claim", "finite", "intervals", "write", "write_json", "write_text"]

RESTORED = "restored"
WRITTEN = ("per_image.csv", "summary.json", "table.md", "table.tex", "contact_sheet.png", "histograms.png", RESTORED)


def claim(output: Path, overwrite: bool, names: Sequence[str] = WRITTEN) -> Path:
    """``output``, if nothing in it would be overwritten, or may be.

    Raises:
        UserError: it is a file, or holds a result.
    """
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; give output=<folder>")
    there = [name for name in names if (output / name).exists()]
    if there and not overwrite:
        raise UserError(f"{output / there[0]}: exists already; give another output=… or overwrite=true")
    return output


def write(output: Path, heading: str, figures: Figures, facts: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Write everything but the restored images under ``output``; returns the table with its notes.

    Args:
        output: a folder; it is made if it is missing.
        heading: of the table.
        figures: what was measured.
        facts: what summary.json contains besides the means.
        notes: what readers of the table must know.
    """
    infinite = sorted({str(row["name"]) for row in figures.rows for key in row if _infinite(row[key])})
    if infinite:
        notes = [
            *notes,
            f"PSNR is infinite, and so is its mean, where an image equals its reference: {and_more(infinite, 1)}.",
        ]
    lines = [{"method": method, **values} for method, values in figures.means.items()]
    text = "\n".join([f"# {heading}", "", _narrow(figures.means), *(f"- {note}" for note in notes), ""])

    write_csv(output / "per_image.csv", figures.rows)
    write_text(output / "table.md", text)
    write_text(output / "table.tex", grouped_table(lines, [heading, *notes]))
    with atomic_write(output / "contact_sheet.png") as file:
        sheet(figures.examples).save(file, "PNG")
    with atomic_write(output / "histograms.png") as file:
        histograms(figures.rows).savefig(file, format="png", dpi=120)
    # Last: a folder that has it is complete.
    means = {method: finite(values) for method, values in figures.means.items()}
    spans = {"intervals": intervals(figures.rows)}
    write_json(output / "summary.json", {**facts, **means, **spans, "notes": list(notes), "version": __version__})
    return text


def intervals(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, tuple[float, float] | None]]:
    """95 % intervals of the means, over images: ``restored``, and the ``difference`` to the input, paired by image.

    None: an image has no figure, or an infinite one.
    """
    before, after = ([row for row in rows if row["method"] == method] for method in ("input", RESTORED))
    found: dict[str, dict[str, tuple[float, float] | None]] = {"restored": {}, "difference": {}}
    for key in [name for name in rows[0] if name not in ("method", "name")]:
        given, made = ([row[key] for row in lines] for lines in (before, after))
        whole = all(value is not None and math.isfinite(value) for value in (*given, *made)) and len(given) == len(made)
        found["restored"][key] = bootstrap_interval(made) if whole and made else None
        found["difference"][key] = paired_interval(made, given) if whole and made else None
    return found


def _narrow(means: Mapping[str, Mapping[str, float | None]]) -> str:
    """A line for each measure, so that it fits a terminal; what was restored comes before the input."""
    methods = list(means)[::-1]
    measures = list(means[methods[0]])
    lines = [{"measure": key, **{method: figure(key, means[method][key]) for method in methods}} for key in measures]
    return markdown_table(lines)


def finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    """JSON knows no infinity: what is not finite becomes None."""
    return {key: value if value is not None and math.isfinite(value) else None for key, value in values.items()}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Strict JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """UTF-8, whole or not at all."""
    with atomic_write(path, "w") as file:
        file.write(text)


def _infinite(value: Any) -> bool:
    return isinstance(value, float) and math.isinf(value)
