"""The contact sheet shows the place where detail was lost, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning.evaluation.contact_sheet import CROP_PX, Example, example, most_lost_detail, sheet, spread
from jdrl_lightning.types import Pair


@pytest.fixture
def pair(photo: torch.Tensor) -> Pair:
    """Sharp everywhere but in a corner of the blurry image; a noisy textureless region is no detail that was lost."""
    sharp = photo[None, :, :300, :400].float() / 255
    blurry = sharp.clone()
    blurry[..., 200:280, 240:360] = torch.nn.functional.avg_pool2d(sharp, 9, 1, 4)[..., 200:280, 240:360]
    return Pair(blurry, sharp, ["astronaut"], {})


def test_the_crop_lies_where_detail_was_lost(pair: Pair) -> None:
    top, left = most_lost_detail(pair.blurry, pair.sharp, 80, 120)
    assert abs(top - 200) <= 16
    assert abs(left - 240) <= 24
    assert most_lost_detail(pair.sharp, pair.sharp, 300, 400) == (0, 0)


def test_all_columns_show_one_place(pair: Pair) -> None:
    restored = 0.5 * (pair.blurry + pair.sharp)
    figures = [{"gt/psnr": 20.0}, {"gt/psnr": 25.123}]
    shown = example(pair, restored, True, figures)
    assert list(shown.crops) == ["blurry", "restored", "sharp, as given"]
    assert all(crop.shape == (3, CROP_PX, CROP_PX) for crop in shown.crops.values())
    torch.testing.assert_close(
        2 * shown.crops["restored"], shown.crops["blurry"] + shown.crops["sharp, as given"], rtol=0, atol=1e-6
    )
    place = shown.caption.split("(")[1].split(")")[0].split(", ")
    left, top = map(int, place)
    assert torch.equal(shown.crops["blurry"], pair.blurry[0, :, top : top + CROP_PX, left : left + CROP_PX])
    assert "20.00 to 25.12 dB" in shown.caption
    assert list(example(pair, restored, False, [{}, {}]).crops) == ["blurry", "restored"]
    known = example(pair._replace(extras={"aligned": pair.sharp}), restored, True, [{"aligned/psnr": 1.0}] * 2)
    assert list(known.crops)[-1] == "sharp, in place"


def test_the_sheet_is_as_large_as_its_pixels_and_shows_them() -> None:
    red, wide = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 20, 30), torch.rand(3, 10, 50)
    page = np.asarray(sheet([Example("one", {"a": red, "b": red}), Example("a name that is far longer", {"c": wide})]))
    assert (page == [255, 0, 0]).all(-1).sum() == 2 * 20 * 30
    shown = (wide * 255).round().byte().permute(1, 2, 0).numpy()
    rows = [i for i in range(len(page) - 10) if (page[i : i + 10, 4:54] == shown).all()]
    assert len(rows) == 1


def test_images_are_spread_over_the_data_set() -> None:
    assert spread(76) == {0, 15, 30, 45, 60, 75}
    assert spread(2) == {0, 1}
    assert spread(1) == {0}
