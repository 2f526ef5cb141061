"""Blur is no motion, and motion no blur."""

from __future__ import annotations

import torch

from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.preparation.stack_masks import moving, nowhere_sharp


def test_unequal_blur_is_no_motion_and_an_object_is(photo: torch.Tensor) -> None:
    image = photo[None, :, 100:260, 100:300].float() / 255
    frames = [image, smooth(image, 2.5), smooth(image, 5.0)]
    assert moving(frames).mean() < 0.01
    frames[1] = frames[1].clone()
    frames[1][..., 60:80, 90:110] = 1 - frames[1][..., 60:80, 90:110].round()
    found = moving(frames)
    assert found[..., 64:76, 94:106].all()
    assert found.mean() < 0.1


def test_blur_everywhere_is_told_from_detail_and_from_nothing(photo: torch.Tensor) -> None:
    image = photo[None, :, 100:356, 100:356].float() / 255
    assert nowhere_sharp(image)[1] < 0.1
    assert nowhere_sharp(smooth(image, 5.0))[1] > 0.7
    assert nowhere_sharp(torch.full((1, 3, 64, 64), 0.5))[1] == 0
    half = image.clone()
    half[..., 128:] = smooth(image, 5.0)[..., 128:]
    left, right = nowhere_sharp(half)[0].chunk(2, dim=3)
    assert left.mean() < 0.05 < 0.3 < right.mean()
