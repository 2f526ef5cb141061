from __future__ import annotations

import base64
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from demo.page import Page, example
from jdrl_lightning.demo.pictures import fidelity, img, psnr, tile, title


def decoded(source: str) -> np.ndarray:
    data = base64.b64decode(source.removeprefix("data:image/webp;base64,"), validate=True)
    return np.asarray(Image.open(BytesIO(data)).convert("RGB"))


def test_an_image_holds_its_pixels_without_loss() -> None:
    for picture in (*example().pictures.values(), np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)):
        ((tag, attrs),) = Page(img(picture[:, ::-1], 'a "b"', 'data-key="c"')).tags
        assert (tag, attrs["alt"], attrs["data-key"]) == ("img", 'a "b"', "c")
        assert (attrs["width"], attrs["height"]) == (str(picture.shape[1]), str(picture.shape[0]))
        np.testing.assert_array_equal(decoded(str(attrs["src"])), picture[:, ::-1])


def test_fidelity_is_psnr_against_the_truth() -> None:
    pictures = example().pictures
    expected = peak_signal_noise_ratio(pictures["truth"], pictures["jdrl"])
    assert fidelity("jdrl", pictures) == f"{expected:.2f} dB"
    assert fidelity("truth", pictures) == "in place"
    assert fidelity("jdrl", {"jdrl": pictures["truth"], "truth": pictures["truth"]}) == "equal to the truth"
    assert psnr(pictures["jdrl"], pictures["truth"]) == pytest.approx(expected)
    assert psnr(pictures["truth"], pictures["truth"]) > 100


@pytest.mark.parametrize(("key", "kind"), [("blurry", "m-input"), ("jdrl", "m-jdrl"), ("<b>", "m-other")])
def test_a_tile_has_the_colour_of_its_row(key: str, kind: str) -> None:
    page = Page(tile(key, title(key), "1 < 2", "<i>content</i>"))
    assert page.tags[0] == ("figure", {"class": kind})
    assert [tag for tag, _ in page.tags] == ["figure", "div", "i", "figcaption", "strong", "span"]
    assert page.text == f"content {title(key)} 1 < 2"
