"""Crops, flips and rotations apply to all tensors of a pair, and to the vectors of flows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.data.augment import augment, collate, crop, flip, quarter_turn
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

DTYPES = [torch.uint8, torch.uint16, torch.float32]


def numbered(height: int, width: int, dtype: torch.dtype = torch.float32, offset: int = 0) -> Tensor:
    """An image whose pixels all differ."""
    values = torch.arange(3 * height * width, dtype=torch.int32) + offset
    return values.view(3, height, width).to(dtype)


def a_pair(dtype: torch.dtype = torch.float32, height: int = 6, width: int = 9, views: bool = False) -> Pair:
    extras = {"aligned": numbered(height, width, dtype, 7), "coc": torch.rand(1, height, width)}
    if views:
        extras |= {"left": numbered(height, width, dtype, 1), "right": numbered(height, width, dtype, 2)}
    return Pair(numbered(height, width, dtype), numbered(height, width, dtype, 3), "a", extras)


def pulled(image: Tensor, flow: Tensor) -> Tensor:
    """``out[p] = image[p + flow[p]]`` for whole-pixel flow, pixel by pixel; NaN outside."""
    _, height, width = image.shape
    out = torch.full_like(image, float("nan"))
    for y in range(height):
        for x in range(width):
            source_x, source_y = x + int(flow[0, y, x]), y + int(flow[1, y, x])
            if 0 <= source_x < width and 0 <= source_y < height:
                out[:, y, x] = image[:, source_y, source_x]
    return out


def with_flow(height: int = 6, width: int = 9) -> Pair:
    """A pair whose ``aligned`` is exactly ``sharp`` pulled by its random whole-pixel flow."""
    flow = torch.from_numpy(np.random.default_rng(0).integers(-2, 3, (2, height, width))).float()
    sharp = numbered(height, width)
    return Pair(numbered(height, width), sharp, "a", {"flow": flow, "aligned": pulled(sharp, flow)})


def agree(pair: Pair) -> None:
    """``aligned`` is still ``sharp`` warped by the flow, wherever that stays in the image."""
    again = pulled(pair.sharp, pair.extras["flow"])
    inside = ~torch.isnan(again)
    assert inside.float().mean() > 0.3
    assert torch.equal(again[inside], pair.extras["aligned"][inside])


def test_flow_turns_with_the_image() -> None:
    pair = with_flow()
    agree(pair)
    agree(flip(pair))
    agree(crop(pair, 1, 2, 5, 6))
    for k in range(-1, 5):
        agree(quarter_turn(pair, k))
        agree(quarter_turn(flip(pair), k))
    for index in range(20):
        agree(augment(pair, 5, seed=0, epoch=0, index=index))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_tensor_moves_alike(dtype: torch.dtype) -> None:
    pair = a_pair(dtype)
    for moved, expected in (
        (crop(pair, 1, 2, 3, 4), lambda image: image[..., 1:4, 2:6]),
        (flip(pair), lambda image: np.flip(image, -1)),
        (quarter_turn(pair, 1), lambda image: np.rot90(image, 1, (-2, -1))),
        (quarter_turn(pair, 3), lambda image: np.rot90(image, 3, (-2, -1))),
    ):
        assert moved.name == "a"
        assert moved.blurry.dtype == dtype
        for before, after in zip(
            (pair.blurry, pair.sharp, *pair.extras.values()),
            (moved.blurry, moved.sharp, *moved.extras.values()),
            strict=True,
        ):
            np.testing.assert_array_equal(after.numpy(), expected(before.numpy()))
            assert after.is_contiguous()


def test_a_crop_does_not_hold_the_whole_image() -> None:
    assert crop(a_pair(), 1, 1, 2, 2).blurry.untyped_storage().nbytes() == 3 * 2 * 2 * 4


def test_a_crop_outside_is_refused() -> None:
    for rectangle in ((-1, 0, 2, 2), (5, 0, 2, 2), (0, 8, 2, 2)):
        with pytest.raises(ValueError, match="exceeds"):
            crop(a_pair(), *rectangle)


def test_draws_depend_on_seed_epoch_and_index_alone() -> None:
    pair = a_pair(height=40, width=50)
    first = augment(pair, 8, 1, 2, 3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(first.blurry, augment(pair, 8, 1, 2, 3).blurry)
    for other in ((0, 2, 3), (1, 0, 3), (1, 2, 0)):
        assert not torch.equal(first.blurry, augment(pair, 8, *other).blurry)


def test_all_places_and_all_eight_positions_are_drawn() -> None:
    pair = a_pair(height=4, width=5)
    seen = {tuple(augment(pair, 3, 0, 0, i).blurry[0].flatten().tolist()) for i in range(600)}
    assert len(seen) == 2 * 3 * 8
    plain = {tuple(augment(pair, 3, 0, 0, i, turn=False).blurry[0].flatten().tolist()) for i in range(100)}
    assert len(plain) == 2 * 3
    assert all(b == a + 1 for corner in plain for a, b in pairwise(corner[:3]))


def test_dual_pixel_views_change_places() -> None:
    pair = a_pair(views=True)
    assert torch.equal(flip(pair).extras["left"], pair.extras["right"].flip(-1))
    assert torch.equal(quarter_turn(pair, 2).extras["right"], torch.rot90(pair.extras["left"], 2, (-2, -1)))
    wide = a_pair(height=6, width=6, views=True)
    for index in range(40):  # never a quarter turn: rows stay rows
        blurry = augment(wide, 6, 0, 0, index).blurry
        assert (blurry[0, 0, 1] - blurry[0, 0, 0]).abs() == 1


def test_an_image_smaller_than_the_crop() -> None:
    with pytest.raises(UserError, match=r"a: 9x6.*data\.crop=7"):
        augment(a_pair(), 7, 0, 0, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_collate_stacks(dtype: torch.dtype) -> None:
    one, two = a_pair(dtype), flip(a_pair(dtype))._replace(name="b")
    batch = collate([one, two])
    assert batch.name == ["a", "b"]
    assert batch.blurry.dtype == dtype
    assert torch.equal(batch.blurry, torch.stack([one.blurry, two.blurry]))
    assert torch.equal(batch.sharp[1], two.sharp)
    assert batch.extras.keys() == one.extras.keys()
    assert torch.equal(batch.extras["coc"][1], two.extras["coc"])


def test_collate_widens_8_bits_among_16() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).repeat(3, 1, 1)
    wide = torch.zeros(3, 16, 16, dtype=torch.uint16)
    batch = collate([Pair(levels, levels, "a", {}), Pair(wide, levels, "b", {})])
    assert batch.blurry.dtype == torch.uint16
    assert torch.equal(batch.blurry[0].to(torch.float64) / 65535, levels.to(torch.float64) / 255)
    assert batch.sharp.dtype == torch.uint8


def test_collate_refuses_what_does_not_stack() -> None:
    with pytest.raises(UserError, match="size"):
        collate([a_pair(), a_pair(height=5)])
    with pytest.raises(UserError, match="extras"):
        collate([a_pair(), a_pair(views=True)])
