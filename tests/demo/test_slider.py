from __future__ import annotations

import numpy as np

from demo.page import METHODS, Page, example
from demo.test_pictures import decoded
from jdrl_lightning.demo.slider import slider


def test_before_and_after_of_the_most_blurred_frame() -> None:
    shown = example()
    sharper = shown._replace(
        pictures={key: picture[::-1] for key, picture in shown.pictures.items()},
        radii={"truth": shown.radii["truth"] / 2},
    )
    page = Page(slider([sharper, shown]))
    left, right = (attrs for tag, attrs in page.tags if tag == "img")
    np.testing.assert_array_equal(decoded(str(left["src"])), shown.pictures["blurry"])
    np.testing.assert_array_equal(decoded(str(right["src"])), shown.pictures["jdrl"])
    chosen = [attrs["value"] for tag, attrs in page.tags if tag == "option" and "selected" in attrs]
    assert chosen == ["blurry", "jdrl", "2"]


def test_the_divider_and_the_choices_have_labels() -> None:
    page = Page(slider([example()]))
    (divider,) = (attrs for tag, attrs in page.tags if tag == "input")
    assert divider["type"] == "range"
    assert (divider["min"], divider["max"], divider["value"]) == ("0", "100", "50")
    assert "left and the right" in str(divider["aria-label"])
    labels = [i for i, (tag, _) in enumerate(page.tags) if tag == "label"]
    assert [page.tags[i + 1][0] for i in labels] == ["select"] * 3  # each around its own
    offered = [attrs["value"] for tag, attrs in page.tags if tag == "option"]
    keys = ["blurry", "sharp as given", *METHODS[1:], "truth"]
    assert offered == [*keys, *keys, "1"]


def test_no_example_no_slider_and_whatever_rows_there_are() -> None:
    assert slider([]) == ""
    truth = example().pictures["truth"]
    page = Page(slider([example()._replace(pictures={"truth": truth})]))
    assert [attrs["alt"] for tag, attrs in page.tags if tag == "img"] == ["Truth, whole frame"] * 2
