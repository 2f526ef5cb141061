from __future__ import annotations

from pathlib import Path

from jdrl_lightning.demo import methods, rows
from jdrl_lightning.demo.methods import BASES, CEILING, METHODS, css_class, label, short


def test_every_row_of_the_demonstration_is_described() -> None:
    assert list(METHODS) == list(rows.ROWS)
    assert {CEILING, *BASES} <= METHODS.keys()
    assert len({label(name) for name in METHODS}) == len({short(name) for name in METHODS}) == len(METHODS)


def test_every_row_has_a_colour_in_the_style_sheet() -> None:
    style = (Path(methods.__file__).parent / "report.css").read_text()
    for name in (*METHODS, "unknown"):
        assert f".{css_class(name)} {{" in style


def test_an_unknown_row_keeps_its_name_but_not_as_a_class() -> None:
    nasty = '"><script>'
    assert label(nasty) == short(nasty) == nasty
    assert css_class(nasty) == "m-other"
