from __future__ import annotations

import pytest
import torch

from jdrl_lightning.losses.sorting import sort_rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("gradient", [True, False])
def test_values_and_gradient_are_pytorchs(dtype: torch.dtype, gradient: bool) -> None:
    """With equal values, both zeros, infinities and the smallest numbers."""
    values = torch.randn(2, 3, 500, generator=torch.Generator().manual_seed(0)).round(decimals=1).to(dtype)
    values[0, 0, :6] = values.new_tensor([torch.inf, -torch.inf, 1e-45, -1e-45, 3e38, -3e38])
    ours, theirs = (values.clone().requires_grad_(gradient) for _ in range(2))
    found, expected = sort_rows(ours), theirs.sort(dim=-1, stable=True).values
    assert torch.equal(found, expected)
    assert torch.equal(ours, values)
    if gradient:
        weights = torch.randn(2, 3, 500, dtype=dtype)
        for result in (found, expected):
            (result * weights).sum().backward()
        assert ours.grad is not None
        assert theirs.grad is not None
        alike = values.flatten().isclose(values.new_zeros(()), atol=0)  # −0 comes before 0 here, level with it there
        assert torch.equal(ours.grad.flatten()[~alike], theirs.grad.flatten()[~alike])
        torch.testing.assert_close(ours.grad.sum(-1), theirs.grad.sum(-1))


def test_rows_that_are_not_contiguous_are_sorted() -> None:
    values = torch.randn(4, 5, 30, generator=torch.Generator().manual_seed(0)).transpose(0, 2).requires_grad_()
    assert torch.equal(sort_rows(values), values.sort(dim=-1).values)


def test_what_is_not_a_number_stays_visible() -> None:
    assert sort_rows(torch.tensor([[1.0, torch.nan, 0.0]], requires_grad=True)).isnan().any()
