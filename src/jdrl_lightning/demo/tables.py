"""The numbers: cards of three comparisons, the table, and the table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from jdrl_lightning.demo.formatting import interval, level, number, psnr_interval, signed, verdict
from jdrl_lightning.demo.methods import BASES, CEILING, css_class, label

__all__ = ["cards", "markdown_table", "table"]

COLUMNS = (
    ("psnr", "PSNR", "dB, ↑", 2),
    ("ssim", "SSIM", "↑", 4),
    ("mae", "MAE", "↓", 4),
    ("placement_px", "Placement", "px, ↓", 3),
    ("seconds", "Training", "s", 0),
)


def cards(results: Mapping[str, Any]) -> Iterable[str]:
    """What came out: JDRL against the network it started from and against its rival, and pixel-wise training."""
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    for key, name in (("over_shipped_db", BASES["shipped"]), ("over_prealign_db", "registering first")):
        finite = all(map(math.isfinite, (results[key], *results["intervals"][key])))
        note = f"{interval(results, key)}, {verdict(results, key)}" if finite else "not a finite number"
        yield _card("jdrl", results[key], f"JDRL against {name}", note)
    harm = psnr["charbonnier"] - psnr["shipped"]
    yield _card("charbonnier", harm, f"Pixel-wise against {BASES['shipped']}", "on the pairs as they are")


def _card(method: str, difference: float, name: str, note: str) -> str:
    value = f"{signed(difference)} dB" if math.isfinite(difference) else "–"
    return (
        f'<div class="card {css_class(method)}"><p class="value">{escape(value)}</p><p>{escape(name)}</p>'
        f'<p class="note">{escape(note)}</p></div>'
    )


def table(results: Mapping[str, Any]) -> str:
    """Every row with every measure; the best row apart from the upper bound is marked."""
    best = _best(results)
    head = "".join(
        f'<th scope="col">{escape(name)} <span class="unit">{escape(unit)}</span></th>' for _, name, unit, _ in COLUMNS
    )
    body = []
    for row in results["rows"]:
        name = row["method"]
        psnr, between, *others = map(escape, _cells(results, row))
        kind = "best" if name == best else "ceiling" if name == CEILING else ""
        tag = ' <span class="tag">best</span>' if name == best else ""
        body.append(
            f'<tr class="{f"{css_class(name)} {kind}".strip()}">'
            f'<th scope="row">{escape(label(name))}{tag}<code>{escape(name)}</code></th>'
            f'<td>{psnr} <span class="unit">{between}</span></td>'
            + "".join(f"<td>{cell}</td>" for cell in others)
            + "</tr>"
        )
    return (
        f'<p class="note" id="rows">Means over the test {escape(results["intervals"]["over"])}, against the truth. '
        f"Below each PSNR its {level(results)}. Best: the highest PSNR apart from the upper bound. "
        "↑ higher is better, ↓ lower is better.</p>\n"
        '<div class="scroll" role="region" aria-labelledby="figures" tabindex="0"><table aria-describedby="rows">'
        f'<thead><tr><th scope="col">Row</th>{head}</tr></thead>\n<tbody>' + "\n".join(body) + "</tbody></table></div>"
    )


def markdown_table(results: Mapping[str, Any]) -> str:
    """The rows as a Markdown table with aligned columns, without a final newline."""
    lines = [["method", "PSNR dB", level(results), "SSIM", "MAE", "placement px", "training s"]]
    lines += [[row["method"].replace("|", "\\|"), *_cells(results, row)] for row in results["rows"]]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(
        f"| {' | '.join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])])} |" for name, *cells in lines
    )


def _cells(results: Mapping[str, Any], row: Mapping[str, Any]) -> list[str]:
    psnr, *others = (number(row[key], digits) for key, _, _, digits in COLUMNS)
    return [psnr, psnr_interval(results, row["method"]), *others]


def _best(results: Mapping[str, Any]) -> str | None:
    rows = [row for row in results["rows"] if row["method"] != CEILING and math.isfinite(row["psnr"])]
    return max(rows, key=lambda row: row["psnr"])["method"] if rows else None
