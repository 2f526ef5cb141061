from __future__ import annotations

import numpy as np

from demo.page import METHODS, Page, example
from demo.test_pictures import decoded
from jdrl_lightning.demo.maps import BLUR, SHIFT, colours
from jdrl_lightning.demo.side_by_side import side_by_side


def images(page: Page) -> list[dict[str, str | None]]:
    return [attrs for tag, attrs in page.tags if tag == "img"]


def test_every_picture_and_map_of_an_example_is_there() -> None:
    shown = example()
    pictures, maps = images(Page(side_by_side([shown])))[:-3], images(Page(side_by_side([shown])))[-3:]
    assert [attrs["data-key"] for attrs in pictures] == ["blurry", "sharp as given", *METHODS[1:], "truth"]
    for attrs, picture in zip(pictures, shown.pictures.values(), strict=True):
        np.testing.assert_array_equal(decoded(str(attrs["src"])), picture)
    expected = (
        colours(shown.radii["predicted"], 5, BLUR),
        colours(shown.radii["truth"], 5, BLUR),
        colours(np.full((16, 24), 5, np.float32), 5, SHIFT),
    )
    for attrs, each in zip(maps, expected, strict=True):
        np.testing.assert_array_equal(decoded(str(attrs["src"])), each)
    assert len({attrs["alt"] for attrs in (*pictures, *maps)}) == len(pictures) + len(maps)


def test_what_is_said_of_them() -> None:
    text = Page(side_by_side([example()])).text
    for expected in (
        "Sharp, as given 7.8 px off on average",
        "Predicted (JDRL) 2.9 px on average, off by 1.0 px",
        "Truth 1.9 px on average",
        "JDRL 5.00 px on average",
        "Radius of the blur 0 5 px and more",
        "Distance from its place 0 5 px and more",
    ):
        assert expected in text


def test_zooming_has_names_for_everyone() -> None:
    page = Page(side_by_side([example(), example()]))
    buttons = [str(attrs["aria-label"]) for tag, attrs in page.tags if tag == "button"]
    assert len(buttons) == len(set(buttons)) == 6
    assert buttons[3] == "Zoom out, example 2"
    groups = [attrs for _, attrs in page.tags if attrs.get("role") == "group"]
    headings = {attrs["id"] for tag, attrs in page.tags if tag == "h3"}
    assert {attrs["aria-labelledby"] for attrs in groups} == headings
    assert len([1 for _, attrs in page.tags if attrs.get("class") == "view"]) == len(images(page))


def test_rows_that_have_no_map_and_no_examples() -> None:
    bare = example()._replace(shifts={}, radii={"truth": example().radii["truth"]})
    text = Page(side_by_side([bare])).text
    assert "What has moved" not in text
    assert "Predicted" not in text
    assert side_by_side([]) == ""
