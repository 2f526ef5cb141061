"""The numbers: cards of the three comparisons, the table, and the table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from jdrl_lightning.demo.formatting import interval, level, number, percent, psnr_interval, signed, verdict
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
    """JDRL against registering first, and as a fraction of the upper bound's gain over two baselines."""
    psnr = {row["method"]: float(row["psnr"]) for row in results["rows"]}
    for key, name, start in (
        ("over_prealign_db", "JDRL over registering each pair first", None),
        ("gain_psnr", "of the upper bound's gain over the blurry images, reached by JDRL", "input"),
        ("recovered_psnr", "of what misalignment costs pixel-wise training, recovered by JDRL", "charbonnier"),
    ):
        if not all(map(math.isfinite, (results[key], *results["intervals"][key]))):
            value, note = "–", "not a finite number"
        elif start is None or psnr[CEILING] > psnr[start]:
            value = f"{signed(results[key])} dB" if start is None else percent(results[key])
            note = f"{interval(results, key)}, {verdict(results, key)}"
        else:
            value, note = "–", f"meaningless: the upper bound is not above {BASES[start]}"
        yield (
            f'<div class="card"><p class="value">{escape(value)}</p><p>{escape(name)}</p>'
            f'<p class="note">{escape(note)}</p></div>'
        )


def table(results: Mapping[str, Any]) -> str:
    """Every row with every measure; the best row apart from the upper bound is marked."""
    best = _best(results)
    psnr, *others = ((name, unit) for _, name, unit, _ in COLUMNS)
    head = "".join(
        f'<th scope="col">{escape(name)} <span class="unit">{escape(unit)}</span></th>'
        for name, unit in (psnr, ("Interval", f"{percent(results['intervals']['level'])}, dB"), *others)
    )
    body = []
    for row in results["rows"]:
        name = row["method"]
        kind = "best" if name == best else "ceiling" if name == CEILING else ""
        tag = ' <span class="tag">best</span>' if name == best else ""
        body.append(
            f'<tr class="{f"{css_class(name)} {kind}".strip()}">'
            f'<th scope="row">{escape(label(name))}{tag}<code>{escape(name)}</code></th>'
            + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(results, row))
            + "</tr>"
        )
    return (
        f'<p class="note" id="rows">Means over the test {escape(results["intervals"]["over"])}, against the truth. '
        "Best: the highest PSNR apart from the upper bound. ↑ higher is better, ↓ lower is better.</p>\n"
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
