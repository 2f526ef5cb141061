"""The second tab in a real browser, while a training writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Open = Callable[..., Any]
HEAD = "epoch,stage,step,val/gt/psnr\n"


def test_curves_grow_and_panels_go_by_epoch(opened: Open, settings: Any) -> None:
    run = settings.runs / "train" / "live"
    (run / "panels").mkdir(parents=True)
    (run / "metrics.csv").write_text(HEAD + "0,0.0,9,20.5\n1,0.0,19,21.5\n")
    for epoch in (4, 9):
        Image.fromarray(np.full((8, 8, 3), 20 * epoch, np.uint8)).save(run / "panels" / f"epoch_{epoch:04d}_a.png")
    page = opened()
    page.click("button[role=tab]:has-text('Runs')")
    page.wait_for_selector("#curves svg[aria-label*='ends at 21.5']")
    assert "21.5" in page.locator("#figures").inner_text()
    page.wait_for_selector("#panels img[alt=epoch_0009_a]")
    page.click("#epoch input")
    page.click("#epoch [role=option]:has-text('4')")
    page.wait_for_selector("#panels img[alt=epoch_0004_a]")
    page.wait_for_function("document.querySelector('#panels img').naturalWidth == 8")
    assert "stage" not in page.locator("#curves").inner_text()
    with (run / "metrics.csv").open("a") as file:
        file.write("2,1.0,29,22.75\n")
    page.wait_for_selector("#curves svg[aria-label*='ends at 22.75']")
    assert "stage 1" in page.locator("#curves").inner_text()
    page.click("#runs input")
    page.click("#runs [role=option]:has-text('train/live')")  # no longer chosen
    page.wait_for_selector("#curves :text('Nothing measured yet')")
    page.wait_for_timeout(4500)  # a tick of the clock
    assert page.locator("text=is not in the list").count() == 0
