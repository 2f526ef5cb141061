from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.match_color import ColorMatched, match_color

CAST = torch.tensor([[0.7, 0.1, 0.0], [0.0, 0.8, 0.1], [0.05, 0.0, 0.6]])
SHIFT = torch.tensor([0.05, 0.1, -0.02])


def cast(image: Tensor) -> Tensor:
    return torch.einsum("oi,bihw->bohw", CAST.to(image), image) + SHIFT.to(image).view(1, 3, 1, 1)


def test_equals_numpys_least_squares_over_cells() -> None:
    image, like = torch.rand(2, 1, 3, 48, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cells = [x[0].reshape(3, 2, 24, 4, 24).mean((2, 4)).flatten(1).T.numpy() for x in (image, like)]
    terms = np.hstack([cells[0], np.ones((8, 1))])
    pull = np.sqrt(1e-4 * 8) * np.eye(4)
    wanted = np.vstack([cells[1] - cells[0], np.zeros((4, 3))])
    change = np.linalg.lstsq(np.vstack([terms, pull]), wanted, rcond=None)[0]
    pixels = image[0].flatten(1).T.numpy()
    expected = pixels + np.hstack([pixels, np.ones((len(pixels), 1))]) @ change
    np.testing.assert_allclose(match_color(image, like)[0].flatten(1).T.numpy(), expected)


def test_a_cast_is_found_and_pixels_stay(photo: Tensor) -> None:
    """Also from an image that is shifted by some pixels; the sharp edges stay where they were."""
    image = photo[None, :, 100:228, 150:278] / 255
    assert (match_color(image, cast(image)) - cast(image)).abs().max() < 0.02
    moved = photo[None, :, 102:230, 147:275] / 255
    error = (match_color(image, cast(moved)) - cast(image)).abs()
    assert error.mean() < 0.15 * (image - cast(image)).abs().mean()
    grey = image.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    torch.testing.assert_close(match_color(grey, grey), grey)


class Recording(FlowEstimator):
    licence = "mine"

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.images = (first, second)
        return torch.ones_like(first[:, :2])


def test_the_estimator_sees_matching_colours(photo: Tensor) -> None:
    inner = Recording()
    estimator, image = ColorMatched(inner), photo[None, :, 100:164, 150:214] / 255
    other = cast(image).clamp(0, 1)
    assert torch.equal(estimator(image, other), torch.ones(1, 2, 64, 64))
    torch.testing.assert_close(inner.images[0], match_color(image, other).clamp(0, 1))
    assert torch.equal(inner.images[1], other)
    assert estimator.licence == "mine"
    assert not estimator.uses_truth
    assert ColorMatched(flow.create("oracle")).uses_truth


def test_stored_flow_is_told_apart_by_the_estimator_inside() -> None:
    plain, affine = flow.create("gauss_newton"), flow.create("gauss_newton", dense=False)
    assert ColorMatched(plain).identity == ColorMatched(flow.create("gauss_newton")).identity
    assert len({one.identity for one in (plain, affine, ColorMatched(plain), ColorMatched(affine))}) == 4


def test_a_start_is_passed_on(photo: Tensor) -> None:
    inner, image = flow.create("gauss_newton"), photo[None, :, 100:164, 150:214] / 255
    start = torch.zeros(1, 2, 64, 64)
    assert ColorMatched(inner).uses_start is inner.uses_start
    other = cast(image).clamp(0, 1)
    expected = inner(match_color(image, other), other, start)
    torch.testing.assert_close(ColorMatched(inner)(image, other, start), expected)
