from __future__ import annotations

import pytest
import torch

from jdrl_lightning.flow.propagation import propagate


def test_a_constant_reaches_every_pixel() -> None:
    torch.manual_seed(0)
    weight = (torch.rand(2, 1, 40, 57) > 0.98).float()
    weight[..., 20, 20] = 1
    values = torch.full_like(weight, 2.5).masked_fill(weight == 0, 99.0)  # what has no weight must not show
    torch.testing.assert_close(propagate(values, weight, torch.rand(2, 3, 40, 57)), torch.full_like(weight, 2.5))


def test_it_follows_the_edge_of_the_image() -> None:
    """Values along the borders only, a step in the image between them, off the middle."""
    image, weight, values = torch.full((1, 3, 64, 64), 0.2), torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    image[..., 40:] = 0.8
    weight[..., 2], weight[..., 60], values[..., 2], values[..., 60] = 1, 1, 1.0, 3.0
    filled = propagate(values, weight, image)[0, 0, 32]
    flat = propagate(values, weight, torch.full_like(image, 0.5))[0, 0, 32]
    jump = [float(row[44] - row[36]) for row in (filled, flat)]
    assert jump[0] > 2 * jump[1] > 0
    assert float(filled.min()) >= 1
    assert float(filled.max()) <= 3


def test_without_any_value_it_is_zero() -> None:
    weight = torch.zeros(2, 1, 16, 16)
    weight[0, 0, 8, 8] = 1
    filled = propagate(torch.ones(2, 1, 16, 16), weight, torch.rand(2, 3, 16, 16))
    assert float(filled[0].min()) > 0
    assert float(filled[1].abs().max()) == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 300), (8, 9), (33, 20)])
def test_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.rand(1, 1, *size)
    filled = propagate(values, torch.ones_like(values), torch.rand(1, 3, *size))
    assert filled.shape == values.shape
    assert bool(filled.isfinite().all())
