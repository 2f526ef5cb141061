"""Enlarging and its adjoint, by autograd and by hand."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.reblur.enlarging import coarse_size, enlarge, enlarge_adjoint


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (8, 12)])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 9])
def test_the_adjoint_is_the_backward_of_autograd(stride: int, size: tuple[int, int]) -> None:
    maps = torch.rand(2, 3, *coarse_size(*size, stride), dtype=torch.float64, requires_grad=True)
    enlarged = enlarge(maps, stride, *size)
    assert enlarged.shape == (2, 3, *size)
    grad = torch.rand(enlarged.shape, dtype=torch.float64)
    (expected,) = torch.autograd.grad(enlarged, maps, grad)
    torch.testing.assert_close(enlarge_adjoint(grad, stride), expected)


def test_values_lie_at_the_middle_of_their_pixels() -> None:
    enlarged = enlarge(torch.tensor([[[[0.0, 4.0]]]]), 2, 1, 3)
    assert enlarged.flatten().tolist() == [0, 1, 3]
