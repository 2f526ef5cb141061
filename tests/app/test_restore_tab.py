"""The first tab in a real browser: what it shows and hands out is what ``predict`` writes."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jdrl_lightning import build
from jdrl_lightning.io.image import Metadata, read_image, read_picture, write_image
from jdrl_lightning.predict import predict
from page_pictures import pictures_loaded

Open = Callable[..., Any]


def predicted(file: Path, settings: Any) -> Path:
    target = file.with_name(f"predicted{file.suffix}")
    predict(build.backbone(build.SHIPPED), [(file, target)], settings.tile, settings.overlap)
    return target


def start(page: Any, file: Path) -> None:
    page.set_input_files("#photo input[type=file]", file)
    page.wait_for_selector(f"#line :text('{file.name}')")
    page.click("#restore")


def clear(page: Any) -> None:
    """Done once the page has answered: its answer would replace that to the next file.

    And begun once the restoration before has ended: its last line would replace the empty one.
    """
    page.wait_for_selector("#restore:not([disabled])")
    page.click("#photo button[aria-label=Clear]")
    page.wait_for_selector("#line p.line:empty", state="attached")


def line(page: Any, text: str) -> None:
    page.wait_for_selector(f"#line :text('{text}')")


def pixels(page: Any, selector: str) -> np.ndarray:
    """Of a picture on the page, from its own address."""
    source = page.locator(selector).first.get_attribute("src")
    return np.asarray(Image.open(BytesIO(page.request.get(page.url.rstrip("/") + source).body())))


def downloaded(page: Any, number: int = 0) -> bytes:
    with page.expect_download() as waited:
        page.click(f"#download_{number}")
    content: bytes = Path(waited.value.path()).read_bytes()
    return content


def test_a_photograph_is_restored_as_predict_does(
    opened: Open, blurry: torch.Tensor, settings: Any, tmp_path: Path
) -> None:
    write_image(tmp_path / "photo.png", blurry, icc=b"profile")
    page = opened()
    start(page, tmp_path / "photo.png")
    line(page, "photo.png: restored")
    expected = predicted(tmp_path / "photo.png", settings)
    shown = pixels(page, "#view .right .top")
    assert np.array_equal(shown, read_image(expected).permute(1, 2, 0).numpy())
    assert np.abs(shown.astype(int) - blurry.permute(1, 2, 0).numpy()).max() > 10
    assert np.array_equal(pixels(page, "#view .left .top"), blurry.permute(1, 2, 0).numpy())
    assert downloaded(page) == expected.read_bytes()


def test_sixteen_bits_stay_exact_and_the_strength_blends(
    opened: Open, blurry: torch.Tensor, settings: Any, tmp_path: Path
) -> None:
    deep = (blurry.int() * 257 + torch.arange(blurry.shape[2]) % 7).clamp_max(65535).to(torch.uint16)
    write_image(tmp_path / "deep.tif", deep, icc=b"profile", metadata=Metadata(dpi=(300.0, 300.0)))
    page = opened()
    start(page, tmp_path / "deep.tif")
    line(page, "deep.tif: restored")
    expected = predicted(tmp_path / "deep.tif", settings)
    assert downloaded(page) == expected.read_bytes()
    assert read_picture(expected).icc == b"profile"

    page.locator("#strength input[type=range]").focus()
    for _ in range(10):  # steps of 5 %
        page.keyboard.press("ArrowLeft")
    line(page, "deep.tif: restored, strength 50 %")
    assert page.locator("#view .blended").evaluate("(one) => getComputedStyle(one).opacity") == "0.5"
    (tmp_path / "half.tif").write_bytes(downloaded(page))
    middle = (deep.double() + read_image(expected).double()) / 2
    assert (read_image(tmp_path / "half.tif").double() - middle).abs().max() <= 0.5


def test_the_slider_and_the_zoom_by_keyboard(opened: Open, blurry: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", blurry)
    page = opened()
    start(page, tmp_path / "photo.png")
    stage, divider = page.locator("#view .stage"), page.locator("#view .divider")
    pictures_loaded(page, "#view")
    divider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    assert stage.evaluate("(one) => one.style.getPropertyValue('--at')") == "70%"
    assert divider.get_attribute("aria-valuetext") == "70 % Blurry, the rest Restored"
    assert "70%" in page.locator("#view .right").evaluate("(one) => getComputedStyle(one).clipPath")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 20, steps=3)
    page.mouse.up()
    assert abs(int(divider.input_value()) - 25) <= 1
    stage.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert page.locator("#view output").inner_text() == "2×"
    page.keyboard.press("1")
    width = page.locator("#view .left .top").evaluate("(one) => one.getBoundingClientRect().width")
    assert width == pytest.approx(max(box["width"], 128), rel=0.01)  # never smaller than its place
    page.select_option("#view [data-view]", "beside")
    left, right = (page.locator(f"#view .{side}").bounding_box() for side in ("left", "right"))
    assert left["x"] + left["width"] < right["x"]
    page.select_option("#view [data-view]", "blink")
    page.keyboard.press("b")
    assert page.locator("#view .left").is_visible() != page.locator("#view .right").is_visible()


def test_a_restoration_is_cancelled_between_tiles(opened: Open, photo: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "large.png", photo.repeat(1, 2, 1)[:, :960])
    write_image(tmp_path / "small.png", photo[:, :64, :64])
    page = opened()
    start(page, tmp_path / "large.png")
    line(page, "restoring: tile")
    page.click("#cancel")
    line(page, "Cancelled.")
    assert page.locator("#view .viewer").count() == 0
    clear(page)
    start(page, tmp_path / "small.png")
    line(page, "small.png: restored")


def test_bad_files_get_one_line(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture at all")
    huge = b"\x89PNG\r\n\x1a\n" + png_head(20_001, 15_000)
    (tmp_path / "huge.png").write_bytes(huge)
    page = opened()
    start(page, tmp_path / "bad.png")
    line(page, "cannot be read (not a PNG, TIFF, JPEG, BMP, WebP, AVIF or HEIC file)")
    assert str(tmp_path) not in page.locator("#line").inner_text()
    clear(page)
    start(page, tmp_path / "huge.png")
    line(page, "megapixels")
    assert page.locator("#line [role=alert]").count() == 1
    assert page.locator("#view .viewer").count() == 0


def png_head(width: int, height: int) -> bytes:
    from image_bytes import chunk

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0])) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def test_two_uploads_at_once(opened: Open, blurry: torch.Tensor, settings: Any, tmp_path: Path) -> None:
    pages = []
    for name, picture in (("first", blurry), ("second", blurry.flip(2))):
        (tmp_path / name).mkdir()
        write_image(tmp_path / name / "photo.png", picture)
        pages.append((opened(), tmp_path / name / "photo.png"))
    for page, file in pages:
        start(page, file)
    for page, file in pages:
        line(page, "photo.png: restored")
        assert downloaded(page) == predicted(file, settings).read_bytes()


def test_a_phone_in_the_dark(opened: Open, blurry: torch.Tensor, tmp_path: Path) -> None:
    write_image(tmp_path / "photo.png", blurry)
    page = opened(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page.check("text=Blur map")
    start(page, tmp_path / "photo.png")
    line(page, "photo.png: restored")
    pictures_loaded(page, "#view")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert sum(page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[:3]) < 150
    assert page.locator("#view .left .map").is_visible()
    assert page.locator("#view .scale").inner_text().endswith("px")


def test_a_picture_is_pasted(opened: Open) -> None:
    page = opened()
    page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 64, height: 48 });
          const blob = await new Promise((ready) => canvas.toBlob(ready));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
        }"""
    )
    line(page, "pasted.png: 64×48, 8 bits")
