"""The report of a registration: totals in one line of text, a row for each pair, and the pairs left out."""

from __future__ import annotations

import csv
from pathlib import Path

from jdrl_lightning.preparation.align import Alignment, Frame
from jdrl_lightning.preparation.align_report import totals, write_report


def test_totals_and_report(tmp_path: Path) -> None:
    frame = Frame(2, 3, 100, 200)
    rows = [
        Alignment("a", 6.0, 0.1, 3.0, -4.0, 1.5, -0.2, frame, ""),
        Alignment("b", 2.0, 0.3, 0.0, 1.0, -2.5, 0.1, frame, ""),
        Alignment("c|d", 9.0, 12.0, 30.0, 0.0, 0.0, 0.0, frame, "worse than before"),
    ]
    assert totals(rows) == (
        "2 of 3 pairs registered; mean |flow| 4.00 px before, 0.20 px after; at most 5.00 px of shift, -2.50 % of "
        "zoom, -0.20 degrees of rotation. Left out: c|d (worse than before)."
    )
    assert totals(rows[2:]) == "0 of 1 pairs registered. Left out: c|d (worse than before)."
    assert totals(rows[2:] * 7).endswith("c|d (worse than before) and 2 more.")
    write_report(tmp_path, {"train": rows[:2], "val": rows[2:]})
    text = (tmp_path / "report.md").read_text()
    assert "- train: 2 of 2 pairs registered" in text
    assert "- val: 0 of 1 pairs registered" in text
    assert "| val | c\\|d | 9.000 | 12.000 | 30.000 |" in text
    with (tmp_path / "report.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["name"] for row in read] == ["a", "b", "c|d"]
    assert float(read[0]["shift_px"]) == 5
    assert (read[0]["split"], read[0]["frame"], read[2]["problem"]) == ("train", "200x100+3+2", "worse than before")
