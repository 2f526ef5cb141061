"""The blur of a pair that does not line up, where both are known by construction."""

from __future__ import annotations

import pytest
import skimage.data
import torch
from skimage.transform import AffineTransform
from skimage.transform import warp as moved
from torch import Tensor

from jdrl_lightning import data, flow
from jdrl_lightning.flow.base import both_ways
from jdrl_lightning.flow.masks import calibration_mask
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.reblur.matching import matched_radius, reblurred
from jdrl_lightning.reblur.pair_radius import UNKNOWN, pair_radius
from jdrl_lightning.types import to_float


def photograph() -> Tensor:
    return torch.from_numpy(skimage.data.astronaut()[:192, 100:292].copy()).permute(2, 0, 1)[None].float() / 255


def spearman(first: Tensor, second: Tensor) -> float:
    ranks = torch.stack([values.flatten().argsort().argsort().double() for values in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def measured(blurry: Tensor, sharp: Tensor) -> Tensor:
    estimator = flow.create("gauss_newton")
    there, back = both_ways(estimator, blurry, sharp)
    trusted = calibration_mask(there, kind="consistency", backward=back) * in_frame(there)
    return pair_radius(blurry, sharp, there, trusted, estimator)


def test_discs_are_found_on_a_pair_that_was_moved_and_everywhere() -> None:
    sharp = photograph()
    true = torch.linspace(1, 6, 192).expand(1, 1, 192, 192)
    zoomed = AffineTransform(scale=1.02, translation=(2.3, -3.6))
    shot = torch.from_numpy(moved(sharp[0].permute(1, 2, 0).numpy(), zoomed, order=3, mode="edge")).permute(2, 0, 1)[
        None
    ]
    found = measured(reblurred(sharp, true), shot.float())
    inside = (..., slice(16, -16), slice(16, -16))
    assert spearman(found[inside], true[inside]) > 0.9
    assert (found - true)[inside].square().mean().sqrt() < 0.7


def test_on_rendered_pairs_it_is_nearer_the_truth_than_the_match_of_what_flow_aligns() -> None:
    pairs = data.create("photos", split="test", seed=0, crop=None, misalignment="stack", frames_per_photo={"test": 1})
    estimator = flow.create("gauss_newton")
    ranks, errors = [], []
    for pair in (pairs[index] for index in range(len(pairs))):
        blurry, sharp, true = to_float(pair.blurry)[None], to_float(pair.sharp)[None], pair.extras["coc"][None]
        found = measured(blurry, sharp)
        assert found.shape == true.shape
        aligned, _ = matched_radius(warp(sharp, estimator(blurry, sharp)), blurry)
        ranks.append([spearman(radius, true) for radius in (found, aligned)])
        errors.append([(radius - true).square().mean().sqrt() for radius in (found, aligned)])
    ours, theirs = torch.tensor(ranks).mean(0)
    assert ours > max(0.5, theirs)
    ours, theirs = torch.tensor(errors).mean(0)
    assert ours < 0.8 * theirs


def test_nothing_is_known_of_images_without_detail_or_that_cannot_be_trusted() -> None:
    estimator, zero = flow.create("none"), torch.zeros(2, 2, 64, 64)
    images = torch.cat([photograph()[..., :64, :64], torch.full((1, 3, 64, 64), 0.5)])
    radius = pair_radius(images, images, zero, zero[:, :1] + 1, estimator)
    assert radius[0].abs().max() < 0.5
    assert (radius[1] == UNKNOWN).all()
    few = zero[:, :1].clone()
    few[..., 10:16, 10:16] = 1  # 36 of 4096 pixels
    assert (pair_radius(images, images, zero, few, estimator) == UNKNOWN).all()


@pytest.mark.parametrize("radius", [0.0, 2.0, 2.5, 9.0])
def test_reblurring_by_one_radius_is_one_convolution(radius: float) -> None:
    point = torch.zeros(1, 3, 25, 25)
    point[..., 12, 12] = 1
    kernel = reblurred(point, torch.full((1, 1, 25, 25), radius))[0, 0]
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))
    place = torch.arange(-12.0, 13)
    distance = torch.hypot(place[None], place[:, None])
    assert (kernel[distance > radius + 1.5] == 0).all()
    if radius >= 2:  # a disc has the variance of half its squared radius
        assert float((kernel * distance.square()).sum()) == pytest.approx(radius**2 / 2, rel=0.2)  # and its pixels
