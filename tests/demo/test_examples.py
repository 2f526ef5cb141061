from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning import Pair
from jdrl_lightning.demo.examples import EXAMPLES, MISALIGNED, examples
from jdrl_lightning.demo.rows import METHODS
from jdrl_lightning.types import Restored


def pair(photo: Tensor, brighter: float = 0.1) -> Pair:
    truth = photo[None, :, 64:192, 64:192].float() / 255
    flow = torch.tensor([3.0, -4.0])[None, :, None, None].expand(1, 2, 128, 128)
    extras = {"aligned": truth, "flow": flow, "coc": torch.full((1, 1, 128, 128), 2.5)}
    return Pair((truth + brighter).clamp(0, 1), truth.roll(3, -1), ["a"], extras)


def network(blurry: Tensor) -> Restored:
    return Restored((blurry,), {"coc": blurry[:, :1] * 10})


def test_whole_frames_of_every_row_in_order(photo: Tensor) -> None:
    given = pair(photo)
    restored = {name: [given.blurry[0] - 0.01 * i] for i, name in enumerate(("shipped", *METHODS))}
    (shown,) = examples([given], restored, network)
    assert list(shown.pictures) == ["blurry", "sharp as given", "shipped", *METHODS, "truth"]
    for key, picture in (("truth", given.extras["aligned"]), ("sharp as given", given.sharp), ("blurry", given.blurry)):
        expected = (picture[0] * 255).round().byte().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(shown.pictures[key], expected)
    assert shown.apart_px == pytest.approx(5)
    np.testing.assert_array_equal(shown.radii["truth"], np.full((128, 128), 2.5, np.float32))
    np.testing.assert_allclose(shown.radii["predicted"], given.blurry[0, 0] * 10)
    assert list(shown.shifts) == list(MISALIGNED)
    assert set(MISALIGNED) == set(METHODS) - {"aligned_ceiling"}


def test_a_shift_points_to_where_things_have_gone(photo: Tensor) -> None:
    moved = photo[None, :, 62:190, 61:189].float() / 255  # what was at (x, y) is at (x + 3, y + 2)
    (shown,) = examples([pair(photo)], {"jdrl": [moved[0]], "prealign": [pair(photo).extras["aligned"][0]]}, network)
    inner = shown.shifts["jdrl"][:, 24:-24, 24:-24]
    np.testing.assert_allclose(np.median(inner, axis=(1, 2)), (3, 2), atol=0.1)
    np.testing.assert_allclose(shown.shifts["prealign"], 0, atol=0.02)


def test_examples_are_spread_over_the_set(photo: Tensor) -> None:
    pairs = [pair(photo, i / 100) for i in range(10)]
    shown = examples(pairs, {}, network)
    expected = [(pairs[i].blurry[0] * 255).round().byte().permute(1, 2, 0).numpy() for i in (0, 3, 6, 9)]
    assert len(shown) == EXAMPLES
    for example, picture in zip(shown, expected, strict=True):
        np.testing.assert_array_equal(example.pictures["blurry"], picture)
    assert len(examples(pairs[:2], {}, network)) == 2


def test_a_network_that_predicts_no_blur(photo: Tensor) -> None:
    (shown,) = examples([pair(photo)], {}, lambda blurry: Restored((blurry,), {}))
    assert list(shown.radii) == ["truth"]
