from __future__ import annotations

import numpy as np

from demo.page import METHODS, Page, example
from demo.test_pictures import decoded
from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.slider import slider


def test_before_and_after_of_the_frame_with_a_usual_gain() -> None:
    pictures = example().pictures

    def gaining(part: float) -> Example:
        nearer = pictures["truth"] + (1 - part) * (pictures["jdrl"].astype(float) - pictures["truth"])
        return example()._replace(pictures={**pictures, "jdrl": nearer.round().astype(np.uint8)})

    shown = [gaining(part) for part in (0, 0.9, 0.6)]
    page = Page(slider(shown))
    left, right = (attrs for tag, attrs in page.tags if tag == "img")
    np.testing.assert_array_equal(decoded(str(left["src"])), pictures["blurry"])
    np.testing.assert_array_equal(decoded(str(right["src"])), shown[2].pictures["jdrl"])
    chosen = [attrs["value"] for tag, attrs in page.tags if tag == "option" and "selected" in attrs]
    assert chosen == ["blurry", "jdrl", "3"]


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


def test_no_example_no_slider() -> None:
    assert slider([]) == ""
