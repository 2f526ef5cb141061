"""Tables for a paper: booktabs, in the order of the columns that the JDRL paper has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from jdrl_lightning.metrics.report import figure

__all__ = ["GROUPS", "MEASURES", "escape", "grouped_table", "plain_table"]

GROUPS = {"gt": "GT", "deformed_gt": "Deformed GT", "aligned": "Truth in place", "placement": "Placement error, px"}
MEASURES = {"psnr": "PSNR", "ssim": "SSIM", "mae": "MAE", "lpips": "LPIPS", "rms": "RMS", "p95": "95 %"}
HEAD = r"% needs \usepackage{booktabs}"

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "…": r"\dots{}", "×": r"$\times$",
    "−": "$-$", "∞": r"$\infty$",
}  # fmt: skip


def escape(text: str) -> str:
    """``text`` as LaTeX prints it, on one line."""
    return "".join(_SPECIAL.get(letter, letter) for letter in " ".join(text.split()))


def grouped_table(rows: Sequence[Mapping[str, float | str | None]], notes: Sequence[str] = ()) -> str:
    """A line for each of ``rows``: ``method``, PSNR, SSIM, MAE and LPIPS of each reference, and the placement error.

    Args:
        rows: figures by ``<reference>/<measure>``; those that the table has no place for are left out.
        notes: comments in front.
    """
    columns = [f"{group}/{name}" for group in GROUPS for name in MEASURES if f"{group}/{name}" in rows[0]]
    groups = [(group, sum(column.startswith(f"{group}/") for column in columns)) for group in GROUPS]
    groups = [(group, width) for group, width in groups if width]
    rules, start = [], 2
    for _, width in groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
        start += width
    head = [
        " & ".join(["", *(rf"\multicolumn{{{width}}}{{c}}{{{escape(GROUPS[group])}}}" for group, width in groups)]),
        " & ".join(["Method", *(escape(MEASURES[column.split("/")[1]]) for column in columns)]),
    ]
    body = [[str(row["method"]), *(figure(column, row[column]) for column in columns)] for row in rows]
    return _tabular("l" + "r" * len(columns), [rf"{head[0]} \\", "".join(rules), rf"{head[1]} \\"], body, notes)


def plain_table(rows: Sequence[Mapping[str, str]]) -> str:
    """``rows`` of words under the names of their columns."""
    columns = list(rows[0])
    head = " & ".join(map(escape, columns))
    return _tabular("l" + "r" * (len(columns) - 1), [rf"{head} \\"], [list(row.values()) for row in rows], ())


def _tabular(alignment: str, head: Sequence[str], body: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    cells = [" & ".join(_cell(cell) for cell in line) + r" \\" for line in body]
    lines = [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", *head, r"\midrule", *cells, r"\bottomrule"]
    comments = [f"% {' '.join(note.split())}" for note in notes]
    return "\n".join([HEAD, *comments, *lines, r"\end{tabular}", ""])


def _cell(text: str) -> str:
    """A minus before a digit is no hyphen."""
    return re.sub(r"(?<![\w.])-(?=\d)", lambda _: "$-$", escape(text))
