from __future__ import annotations

import math
import re
from typing import Any

from demo.page import METHODS, Page, made_up
from jdrl_lightning.demo.tables import cards, markdown_table, table


def test_table_has_headers_and_marks_the_best_row_apart_from_the_ceiling() -> None:
    def best(results: dict[str, Any]) -> str:
        (row,) = re.findall(r'<tr class="[^"]*\bbest\b[^"]*">.*?</tr>', table(results))
        assert row.count("best</span>") == 1
        return re.findall(r"<code>(.*?)</code>", row)[0]

    page = Page(table(made_up()))
    assert [attrs.get("scope") for tag, attrs in page.tags if tag == "th"] == ["col"] * 6 + ["row"] * 6
    assert best(made_up()) == "jdrl"
    assert best(made_up((23.4, 22.9, 24.6, 24.0, 25.1))) == "prealign"
    assert best(made_up((25.4, 22.9, 24.6, 24.0, 25.6))) == "input"
    assert best(made_up(shipped=24.7)) == "shipped"


def test_markdown_table_lines_up_and_holds_the_rows() -> None:
    lines = markdown_table(made_up()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(METHODS)
    assert [cell.strip() for cell in lines[6].split("|")[2:-1]] == [
        "24.61",
        "23.78 to 25.52",
        "0.8212",
        "0.0336",
        "0.455",
        "68",
    ]


def test_cards_follow_the_interval() -> None:
    for half_width, verdict in ((0.25, "excludes zero"), (0.75, "includes zero")):
        over_shipped, over_registered, pixel_wise = cards(made_up(half_width=half_width))
        assert "+0.66 dB" in over_shipped
        assert "+0.59 dB" in over_registered
        assert verdict in over_shipped
        assert verdict in over_registered
        assert "−1.08 dB" in pixel_wise
        assert "zero" not in pixel_wise  # it has no interval
    for card in cards(made_up((23.4, math.nan, 24.0, math.nan, 25.1))):
        assert ">–</p>" in card
        assert "nan" not in card
