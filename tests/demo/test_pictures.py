from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
from skimage.io import imread
from skimage.metrics import peak_signal_noise_ratio

from demo.page import Page, crops, made_up, written


def test_images_are_the_crops_with_alt_text_and_psnr(tmp_path: Path) -> None:
    page = Page(written(tmp_path, made_up()))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    shown = crops()
    assert len(images) == len(shown)
    for attrs, picture in zip(images, shown.values(), strict=True):
        assert attrs["alt"]
        assert (attrs["width"], attrs["height"]) == ("48", "32")
        (tmp_path / "one.png").write_bytes(base64.b64decode(str(attrs["src"]).removeprefix("data:image/png;base64,")))
        np.testing.assert_array_equal(imread(tmp_path / "one.png"), picture)
    assert f"{peak_signal_noise_ratio(shown['truth'], shown['jdrl']):.2f} dB" in page.text


def test_crops_without_a_truth_or_equal_to_it(tmp_path: Path) -> None:
    truth = crops()["truth"]
    page = Page(written(tmp_path, made_up(), examples=[{"jdrl": truth, "truth": truth}, {"blurry": truth}]))
    assert "equal to the truth" in page.text
    assert "inf" not in page.text.split("Examples")[1].split("How to read")[0]
