"""The operator at several resolutions: what stays constant, how far it reaches, its gradients."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jdrl_lightning.reblur.operator import reblur
from reblur.random_maps import random_maps

LEVELS = 3
SEEDS = 2 + 3


@pytest.mark.parametrize("size", [(16, 16), (13, 19)])
def test_a_constant_image_stays_constant(size: tuple[int, int]) -> None:
    _, seeds, weights = random_maps(LEVELS, *size, scales=3)
    image = torch.full((1, 3, *size), 0.4, dtype=torch.float64)
    out = reblur(image, seeds, weights, LEVELS, padding="reflect", scales=3)
    torch.testing.assert_close(out, image)


def test_a_coarse_scale_reaches_further_and_shifts_nothing() -> None:
    size = 48
    image = torch.zeros(1, 1, size, size, dtype=torch.float64)
    image[..., size // 2 - 2 : size // 2 + 2, size // 2 - 2 : size // 2 + 2] = 1 / 16
    seeds = torch.zeros(1, 3 * SEEDS, size, size, dtype=torch.float64)
    weights = torch.zeros(1, LEVELS + 2 * (LEVELS - 1), size, size, dtype=torch.float64)
    weights[:, -1] = 1  # the widest level of the coarsest scale
    out = reblur(image, seeds, weights, LEVELS, scales=3)[0, 0]
    position = torch.arange(size, dtype=torch.float64)
    centre = (out.sum(0) * position).sum() / out.sum()
    deviation = ((out.sum(0) * (position - centre) ** 2).sum() / out.sum()).sqrt()
    assert float(out.sum()) == pytest.approx(1)
    assert float(centre) == pytest.approx(size / 2 - 0.5)
    assert deviation > 4


def test_no_weight_on_the_coarse_scale_is_the_fine_scale_alone() -> None:
    image, seeds, weights = random_maps(LEVELS, scales=2)
    fine = weights[:, :LEVELS] / weights[:, :LEVELS].sum(dim=1, keepdim=True)
    both = torch.cat([fine, torch.zeros_like(fine[:, 1:])], dim=1)
    assert torch.equal(reblur(image, seeds, both, LEVELS, scales=2), reblur(image, seeds[:, :SEEDS], fine, LEVELS))


def test_gradcheck() -> None:
    leaves = [t.requires_grad_() for t in random_maps(LEVELS, 5, 6, scales=2)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, levels=LEVELS, scales=2), leaves)


def test_coarse_maps_are_enlarged_first() -> None:
    image, *maps = random_maps(LEVELS, 13, 18, batch=2, scales=2, stride=4)
    full = [F.interpolate(t, scale_factor=4, mode="bilinear")[..., :13, :18] for t in maps]
    expected = reblur(image, full[0], full[1], LEVELS, scales=2)
    torch.testing.assert_close(reblur(image, maps[0], maps[1], LEVELS, scales=2, stride=4), expected)


def test_single_precision_equals_double() -> None:
    exact = [t.requires_grad_() for t in random_maps(LEVELS, 21, 26, scales=2)]
    single = [t.detach().float().requires_grad_() for t in exact]
    found = torch.autograd.grad(reblur(*single, levels=LEVELS, scales=2).square().sum(), single)
    expected = torch.autograd.grad(reblur(*exact, levels=LEVELS, scales=2).square().sum(), exact)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=1e-5)


def test_refuses_wrong_input() -> None:
    image, seeds, weights = random_maps(LEVELS, 5, 12, scales=3)
    with pytest.raises(ValueError, match=r"weights must be \(1, 5, 5, 12\) for levels=3, scales=2"):
        reblur(image, seeds[:, : 2 * SEEDS], weights, LEVELS, scales=2)
    reblur(image, seeds[:, : 2 * SEEDS], weights[:, :5], LEVELS, padding="reflect", scales=2)
    with pytest.raises(ValueError, match="at least 9 px"):
        reblur(image, seeds, weights, LEVELS, padding="reflect", scales=3)
