"""The third tab in a real browser, on pairs whose displacement is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from jdrl_lightning.io.image import write_image
from page_pictures import pictures_loaded

Open = Callable[..., Any]


def test_a_pair_blinks_and_the_verdict_is_doctor_s(opened: Open, settings: Any, photo: torch.Tensor) -> None:
    mine = settings.pairs / "mine"
    for number in range(2):
        top = 40 * number
        write_image(mine / "train" / "gt" / f"{number}.png", photo[:, top : top + 128, 100:228])
        write_image(mine / "train" / "blur" / f"{number}.png", photo[:, top + 3 : top + 131, 104:232])
    page = opened()
    page.click("button[role=tab]:has-text('Pairs')")
    page.click("#pairs_folder input")
    page.click("#pairs_folder [role=option]:has-text('mine')")
    page.wait_for_function("document.querySelector('#pairs_split input').value === 'train'")
    page.click("#look")
    page.wait_for_selector("#pairs_line :text('mine, train: pair 1 of 2')")
    pictures_loaded(page, "#pairs_view")
    left, right = (page.locator(f"#pairs_view .{side}") for side in ("left", "right"))
    page.wait_for_function("document.querySelector('#pairs_view .stage').classList.contains('second')")
    assert right.is_visible() != left.is_visible()
    page.select_option("#pairs_view [data-side=right]", "length")
    assert "median 5.0" in page.locator("#pairs_view").inner_text()  # (4, 3) px
    page.click("#verdict")
    page.wait_for_selector("#pairs_line :text('pixel-wise') , #pairs_line :text('affine map')")
    typed = page.locator("#typed :is(textarea, input)").input_value()
    assert typed.startswith(f"python -m jdrl_lightning.train data=folder data.root={mine} ")
    assert "objective=charbonnier" in typed
    page.fill("#pair input", "7")
    page.click("#look")
    page.wait_for_selector("#pairs_line :text('pair 7: there are 2')")
