from __future__ import annotations

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
    assert [attrs.get("scope") for tag, attrs in page.tags if tag == "th"] == ["col"] * 7 + ["row"] * 5
    assert best(made_up()) == "jdrl"
    assert best(made_up((23.4, 22.9, 24.6, 24.0, 25.1))) == "prealign"
    assert best(made_up((25.4, 22.9, 24.6, 24.0, 25.6))) == "input"


def test_markdown_table_lines_up_and_holds_the_rows() -> None:
    lines = markdown_table(made_up()).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len({tuple(i for i, c in enumerate(line) if c == "|") for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(METHODS)
    assert [cell.strip() for cell in lines[5].split("|")[2:-1]] == [
        "24.61",
        "23.78 to 25.52",
        "0.7912",
        "0.0366",
        "0.568",
        "51",
    ]


def test_no_card_with_a_fraction_of_a_negative_gain() -> None:
    over, gain, recovered = cards(made_up((23.41, 22.87, 24.02, 24.61, 23.0)))
    assert "+0.59 dB" in over
    assert "meaningless: the upper bound is not above the blurry images" in gain
    assert "includes zero" not in recovered


def test_cards_follow_the_interval() -> None:
    for half_width, verdict in ((0.25, "excludes zero"), (0.75, "includes zero")):
        over, *_ = cards(made_up(half_width=half_width))
        assert verdict in over
    over, *_ = cards(made_up((23.4, 22.9, 24.0, float("nan"), 25.1)))
    assert "not a finite number" in over
