"""Draw the page of ``python -m jdrl_lightning.app`` for docs/app.md: app.png, app_runs.png, app_pairs.png.

python docs/images/draw_app.py http://127.0.0.1:7860 [--chromium /usr/bin/chromium]

The page must be running, with runs and with pairs. The photograph is scikit-image's coffee, out of focus by a disc of
2 px. Needs Playwright.
"""

from __future__ import annotations

import argparse
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from scipy.ndimage import convolve
from skimage.data import coffee
from skimage.morphology import disk

HERE = Path(__file__).parent
COLOURS = 256
WIDTH, HEIGHT = 1040, 700  # px


def main() -> None:
    """Open the page, use it, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    with sync_playwright() as started, tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, "coffee.png")
        Image.fromarray(blurred(coffee())).save(photo)
        browser = started.chromium.launch(executable_path=given.chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(given.address)
        page.set_input_files("#photo input[type=file]", photo)
        page.wait_for_selector("#line :text('coffee.png: 600×400')")
        page.check("text=Blur map")
        page.click("#restore")
        page.wait_for_selector("#view .viewer")
        page.locator("#view [data-map]").fill("0")
        draw(page, "app.png")
        page.click("button[role=tab]:has-text('Runs')")
        page.wait_for_selector("#curves svg")
        page.click("#runs input")
        page.click("#runs [role=option] >> nth=1")
        page.keyboard.press("Escape")
        page.mouse.move(5, 5)
        draw(page, "app_runs.png")
        page.click("button[role=tab]:has-text('Pairs')")
        page.click("#look")
        page.wait_for_selector("#pairs_view .viewer")
        page.select_option("#pairs_view [data-view]", "beside")
        page.select_option("#pairs_view [data-side=right]", "flow")
        page.click("#verdict")
        page.wait_for_selector("#typed")
        page.set_viewport_size({"width": WIDTH, "height": 1100})
        draw(page, "app_pairs.png")
        browser.close()


def blurred(picture: Any) -> Any:
    """Each channel averaged over a disc."""
    disc = disk(2) / disk(2).sum()
    channels = [convolve(picture[..., channel].astype(float), disc) for channel in range(3)]
    return np.stack(channels, axis=2).round().astype(np.uint8)


def draw(page: Any, name: str) -> None:
    """The window, in few colours."""
    page.wait_for_timeout(1500)
    picture = Image.open(BytesIO(page.screenshot())).convert("RGB")
    few = picture.quantize(palette=picture.quantize(COLOURS), dither=Image.Dither.FLOYDSTEINBERG)
    few.save(HERE / name, optimize=True)


if __name__ == "__main__":
    main()
