"""Exposure and order of the colours, against the standard's own formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2xyz
from torch import Tensor
from torch.nn.functional import avg_pool2d

from jdrl_lightning.data.augment import augment
from jdrl_lightning.data.color_jitter import recolor
from jdrl_lightning.types import Pair


def a_pair(image: Tensor) -> Pair:
    extras = {"aligned": image, "left": image, "flow": torch.ones(2, *image.shape[1:]), "coc": torch.ones(1, 1, 1)}
    return Pair(image, image.flip(-1), "a", extras)


def linear(image: Tensor) -> Tensor:
    """IEC 61966-2-1, float64."""
    image = image.double()
    return torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def srgb(light: Tensor) -> Tensor:
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.double() ** (1 / 2.4) - 0.055)


def luminance(image: Tensor) -> np.ndarray:
    return rgb2xyz((image.double() / torch.iinfo(image.dtype).max).permute(1, 2, 0).numpy())[..., 1]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_all_images_get_the_same_light_and_nothing_else_changes(dtype: torch.dtype) -> None:
    grey = torch.linspace(0, 0.8 * torch.iinfo(dtype).max, 64).to(dtype).view(1, 8, 8).repeat(3, 1, 1)
    changed = recolor(a_pair(grey), np.random.default_rng(3))
    assert changed.blurry.dtype == dtype
    assert torch.equal(changed.blurry.to(torch.int32), changed.sharp.flip(-1).to(torch.int32))
    assert torch.equal(changed.blurry.to(torch.int32), changed.extras["aligned"].to(torch.int32))
    assert torch.equal(changed.blurry.to(torch.int32), changed.extras["left"].to(torch.int32))
    assert changed.extras["flow"].eq(1).all()
    ratio = luminance(changed.blurry)[4:] / luminance(grey)[4:]  # scikit-image's linear light: one factor everywhere
    assert 0.4 <= ratio.mean() <= 1.2
    assert abs(ratio.mean() - 1) > 0.02
    assert np.abs(ratio / ratio.mean() - 1).max() < (0.03 if dtype == torch.uint8 else 1e-3)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("seed", [3, 4, 5])  # factors 0.44, 1.13 and 0.97
def test_every_level_gets_its_light_and_none_more_than_full(dtype: torch.dtype, seed: int) -> None:
    full = 1 if dtype.is_floating_point else torch.iinfo(dtype).max
    levels = torch.arange(65536).view(256, 256) / 65535 if full == 1 else torch.arange(full + 1).view(-1, 256)
    image = levels.to(dtype).expand(3, *levels.shape)
    factor = np.exp(np.random.default_rng(seed).uniform(*np.log([0.4, 1.2])))
    expected = full * srgb((factor * linear(levels / full)).clamp_max(1))
    found = recolor(Pair(image, image, "a", {}), np.random.default_rng(seed)).blurry[0].double()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6 if full == 1 else 0.5 + 1e-4 * full / 255)
    assert full == 1 or torch.equal(found, found.round())


def test_colours_are_reordered_not_mixed() -> None:
    """With one value per channel, all six orders occur, and light is multiplied by one factor."""
    light = torch.tensor([0.1, 0.2, 0.4])
    image = srgb(light).float().view(3, 1, 1).expand(3, 2, 2)
    seen = set()
    for seed in range(60):
        found = linear(recolor(Pair(image, image, "a", {}), np.random.default_rng(seed)).blurry[:, 0, 0])
        order = found.argsort().argsort()
        seen.add(tuple(order.tolist()))
        expected = (light[order] / light.sum()).double()
        torch.testing.assert_close(found / found.sum(), expected, rtol=1e-4, atol=0)
    assert len(seen) == 6


def test_blur_and_exposure_commute(photo: Tensor) -> None:
    """The augmented pair is still a sharp scene and its blurred light."""
    sharp = photo[None, :, 200:264, 200:264].float() / 255
    blurry = srgb(avg_pool2d(linear(sharp), 5, 1, 2)).float()
    changed = recolor(Pair(blurry[0], sharp[0], "a", {}), np.random.default_rng(1))
    again = srgb(avg_pool2d(linear(changed.sharp[None]), 5, 1, 2))[0].float()
    assert (changed.sharp < 1).all()
    torch.testing.assert_close(changed.blurry, again, rtol=0, atol=1e-5)


def test_it_is_a_function_of_seed_epoch_and_index(photo: Tensor) -> None:
    pair = Pair(photo, photo, "a", {})
    draws = [augment(pair, 256, 0, epoch, index, colors=True).blurry for epoch, index in ((0, 0), (0, 1), (1, 0))]
    assert torch.equal(draws[0], augment(pair, 256, 0, 0, 0, colors=True).blurry)
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    plain = augment(pair, 256, 0, 0, 0).blurry.float().mean(0)  # the same crop, the same way up
    assert np.corrcoef(plain.flatten(), draws[0].float().mean(0).flatten())[0, 1] > 0.9
