"""Tables for a paper: the paper's order of columns, and LaTeX that closes what it opens."""

from __future__ import annotations

import re

import pytest

from jdrl_lightning.evaluation.latex import escape, grouped_table, plain_table

ROWS: list[dict[str, float | str | None]] = [
    {
        "method": method,
        **{f"{group}/{name}": 0.5 for group in groups for name in ("psnr", "ssim", "mae", "lpips")},
        **{f"placement/{name}": -0.01 for name in ("rms", "p95", "dx", "dy")},
    }
    for method, groups in (("input", ("gt", "deformed_gt")), ("50 % of a_b & {c}", ("gt", "deformed_gt")))
]


def columns(line: str) -> int:
    """How many columns a line of a table fills."""
    cells = re.split(r"(?<!\\)&", line)
    return sum(int(found[1]) if (found := re.search(r"\\multicolumn{(\d+)}", cell)) else 1 for cell in cells)


def check(table: str) -> None:
    """Balanced braces and environments, as many cells in every line as columns, rules within them."""
    code = [line for line in table.splitlines() if not line.startswith("%")]
    text = "\n".join(code).replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for letter in text:
        depth += (letter == "{") - (letter == "}")
        assert depth >= 0
    assert depth == 0
    assert text.count("$") % 2 == 0
    for begin, end in re.findall(r"\\begin{tabular}{(\w+)}(?:.|\n)*?\\end{(tabular)}", text):
        assert end == "tabular"
        width = len(begin)
    assert [name for name in ("toprule", "midrule", "bottomrule") if rf"\{name}" not in text] == []
    for line in code:
        if line.endswith(r"\\"):
            assert columns(line) == width, line
        for start, stop in re.findall(r"\\cmidrule\(lr\){(\d+)-(\d+)}", line):
            assert 2 <= int(start) <= int(stop) <= width


def test_the_paper_s_columns() -> None:
    table = grouped_table(ROWS, ["100 % {of it\nhere}"])
    check(table)
    assert (
        r" & \multicolumn{4}{c}{GT} & \multicolumn{4}{c}{Deformed GT} & \multicolumn{2}{c}{Placement error, px} \\"
        in table
    )
    assert r"Method & PSNR & SSIM & MAE & LPIPS & PSNR & SSIM & MAE & LPIPS & RMS & 95 \% \\" in table
    assert r"input & 0.50 & 0.5000 & 0.5000 & 0.5000 & 0.50 " in table
    assert r"50 \% of a\_b \& \{c\} & 0.50 " in table
    assert "$-$0.010" in table
    assert table.splitlines()[:2] == [r"% needs \usepackage{booktabs}", "% 100 % {of it here}"]


def test_missing_values_and_missing_references() -> None:
    table = grouped_table([{"method": "input", "placement/rms": 0.0, "placement/p95": None}])
    check(table)
    assert r"input & 0.000 & -- \\" in table
    assert "PSNR" not in table


def test_words() -> None:
    table = plain_table([{"measure": "GT: PSNR", "a-1 − b": "-0.10 [-0.20, +0.01]"}])
    check(table)
    assert r"GT: PSNR & $-$0.10 [$-$0.20, +0.01] \\" in table
    assert r"measure & a-1 $-$ b \\" in table


@pytest.mark.parametrize("text", ["\\end{x}", "#1 ~ ^2 $x$", "a\nb", "“ü” …"])
def test_no_text_breaks_a_table(text: str) -> None:
    check(plain_table([{"measure": text, text: text}]))
    assert "\n" not in escape(text)
    assert escape("\\end{x}") == r"\textbackslash{}end\{x\}"
