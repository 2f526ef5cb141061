from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from jdrl_lightning.losses.contextual import contextual_loss, displacement, patches


def written_out(restored: Tensor, target: Tensor, h: float, penalty: Tensor | None = None) -> float:
    """Eq. 1 to 4 of one image, feature by feature."""
    extra = torch.zeros(len(restored), len(target)) if penalty is None else penalty
    centre = target.mean(0)
    contextual: list[list[float]] = []
    for i, x in enumerate(restored):
        distances = []
        for j, y in enumerate(target):
            cosine = torch.dot(x - centre, y - centre) / ((x - centre).norm() * (y - centre).norm())
            distances.append(1 - float(cosine) + float(extra[i, j]))
        weights = [math.exp((1 - d / (min(distances) + 1e-5)) / h) for d in distances]
        contextual.append([w / sum(weights) for w in weights])
    best = [max(row[j] for row in contextual) for j in range(len(target))]
    return -math.log(sum(best) / len(best))


@pytest.mark.parametrize("h", [0.5, 0.1])
def test_equals_the_definition_written_out(h: float) -> None:
    generator = torch.Generator().manual_seed(0)
    restored = torch.rand(2, 7, 5, generator=generator, dtype=torch.float64)
    target = torch.rand(2, 6, 5, generator=generator, dtype=torch.float64)
    expected = sum(written_out(r, t, h) for r, t in zip(restored, target, strict=True)) / 2
    assert contextual_loss(restored, target, h).item() == pytest.approx(expected)


def test_a_penalty_is_added_to_the_distances() -> None:
    generator = torch.Generator().manual_seed(0)
    restored, target = torch.rand(2, 2, 6, 5, generator=generator, dtype=torch.float64)
    penalty = torch.rand(6, 6, generator=generator, dtype=torch.float64)
    expected = sum(written_out(r, t, 0.4, penalty) for r, t in zip(restored, target, strict=True)) / 2
    assert contextual_loss(restored, target, 0.4, penalty).item() == pytest.approx(expected)


def test_displacements_are_scipys_between_the_patches_corners() -> None:
    places = [(y, x) for y in (0, 4, 8) for x in (0, 4)]
    found = displacement(3, 2, torch.zeros((), dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), cdist(places, places))


def test_places_do_not_count_and_contents_do() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(1, 30, 12, generator=generator)
    shuffled = target[:, torch.randperm(30, generator=generator)]
    same, moved = contextual_loss(target, target), contextual_loss(shuffled, target)
    torch.testing.assert_close(same, moved)
    assert same < 0.01
    assert contextual_loss(torch.rand(1, 30, 12, generator=generator), target) > 1


def test_gradcheck() -> None:
    generator = torch.Generator().manual_seed(1)
    restored, target = torch.rand(2, 2, 5, 4, generator=generator, dtype=torch.float64)
    restored.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(contextual_loss, (restored, target))


def test_the_gradient_is_finite_where_a_feature_is_found_exactly() -> None:
    target = torch.rand(1, 8, 4)
    restored = target.clone().requires_grad_()
    contextual_loss(restored, target).backward()
    assert restored.grad is not None
    assert restored.grad.isfinite().all()


def test_patches_are_what_lies_under_them() -> None:
    image = torch.rand(2, 3, 13, 14)
    found = patches(image)
    places = [(y, x) for y in (0, 4, 8) for x in (0, 4, 8)]
    assert found.shape == (2, len(places), 75)
    for number, (y, x) in enumerate(places):
        torch.testing.assert_close(found[:, number], image[..., y : y + 5, x : x + 5].flatten(1))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        contextual_loss(torch.rand(1, 5, 4), torch.rand(1, 5, 3))
