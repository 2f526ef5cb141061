"""The blur between two images, where it is known by construction."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from scipy.ndimage import convolve
from skimage.draw import disk
from torch import Tensor

from jdrl_lightning import data
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.types import to_float


def photograph() -> Tensor:
    return torch.from_numpy(skimage.data.astronaut()[:96, 150:278].copy()).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("radius", [2, 3, 6])
def test_finds_the_disc(radius: int) -> None:
    sharp, fine = photograph(), np.zeros((165, 165), np.float32)
    fine[disk((82, 82), 11 * radius)] = 1
    kernel = fine.reshape(15, 11, 15, 11).mean((1, 3))  # how much of each pixel the disc covers
    blurry = np.stack([convolve(channel, kernel / kernel.sum(), mode="nearest") for channel in sharp[0].numpy()])
    found, known = matched_radius(sharp, torch.from_numpy(blurry)[None])
    assert found.shape == known.shape == (1, 1, 96, 128)
    assert known.mean() > 0.7
    assert (found[known > 0] - radius).abs().max() < 0.5


def test_an_image_is_not_blurred_against_itself_and_nothing_is_known_of_what_does_not_vary() -> None:
    sharp = photograph()
    found, known = matched_radius(sharp, sharp)
    assert found[known > 0].abs().max() < 0.5
    grey = torch.full_like(sharp, 0.5)
    assert not matched_radius(grey, grey)[1].any()


def test_agrees_with_the_renderers_circle_of_confusion_where_it_says_it_knows() -> None:
    pairs = data.create("photos", split="test", seed=0, crop=None, misalignment="none", frames_per_photo={"test": 1})
    for pair in (pairs[index] for index in range(len(pairs))):
        found, known = matched_radius(*(to_float(image)[None] for image in (pair.extras["aligned"], pair.blurry)))
        error = (found - pair.extras["coc"][None])[known > 0]
        assert known.mean() > 0.3
        assert error.square().mean().sqrt() < 1
        assert error.mean().abs() < 0.3


def test_lets_no_gradient_through() -> None:
    assert not matched_radius(photograph().requires_grad_(), photograph())[0].requires_grad
