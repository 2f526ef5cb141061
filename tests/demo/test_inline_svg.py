from __future__ import annotations

from matplotlib.figure import Figure

from demo.page import Page
from jdrl_lightning.demo.inline_svg import inline_svg

NASTY = "<b>&\"'</svg><script>alert(1)</script>"


def figure(title: str = "title") -> Figure:
    made = Figure(figsize=(3, 2))
    axis = made.add_subplot()
    axis.plot([0, 1], [2, 3], color="#112233", marker="o")
    axis.plot([0, 1], [3, 2], color="#445566", clip_on=True)
    axis.set_title(title)
    return made


def test_a_figure_stands_in_the_page_and_needs_nothing_else() -> None:
    source = inline_svg(figure(), "one", "what it shows", {"#112233": "var(--first)"})
    page = Page(source)
    assert page.tags[0] == ("svg", {"viewbox": "0 0 216 144", "role": "img", "aria-label": "what it shows"})
    assert not {tag for tag, _ in page.tags} & {"style", "script", "metadata", "image", "clippath"}
    for loading in ("://", "url(", "@import", "xlink", "font-family"):
        assert loading not in source
    assert "title" in page.text
    assert "stroke: var(--first)" in source
    assert "stroke: #445566" in source


def test_ids_are_those_that_are_used_and_differ_between_figures() -> None:
    def ids(source: str) -> set[str]:
        page = Page(source)
        found = [str(attrs["id"]) for _, attrs in page.tags if "id" in attrs]
        assert len(found) == len(set(found)) > 0
        assert {f"#{identifier}" for identifier in found} == {attrs["href"] for tag, attrs in page.tags if tag == "use"}
        return set(found)

    first, second = inline_svg(figure(), "one", "", {}), inline_svg(figure(), "two", "", {})
    assert not ids(first) & ids(second)
    assert inline_svg(figure(), "one", "", {}) == first


def test_text_is_escaped() -> None:
    page = Page(inline_svg(figure(NASTY), "one", NASTY, {}))
    assert not {tag for tag, _ in page.tags} & {"b", "script"}
    assert [tag for tag, _ in page.tags].count("svg") == 1
    assert NASTY in page.text
    assert page.tags[0][1]["aria-label"] == NASTY
