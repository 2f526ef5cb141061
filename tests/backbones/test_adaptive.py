from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.backbones.adaptive import dynamic_filter, iterative_adaptive_convolution, step_filters


def _rand(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize(("side", "size"), [(1, (4, 5)), (3, (7, 9)), (7, (12, 8)), (7, (2, 1))])
def test_dynamic_filter_against_unfolded_patches(side: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    image, kernels = _rand(2, 3, *size), _rand(2, side * side, *size)
    patches = F.unfold(F.pad(image, (side // 2,) * 4, mode="replicate"), side).view(2, 3, side * side, *size)
    expected = torch.einsum("bckhw,bkhw->bchw", patches, kernels)
    torch.testing.assert_close(dynamic_filter(image, kernels), expected, rtol=0, atol=1e-10)


def test_dynamic_filter_kernels_are_row_major() -> None:
    image = _rand(1, 2, 6, 5)
    kernels = torch.zeros(1, 9, 6, 5, dtype=torch.float64)
    kernels[:, 5] = 1  # row-major: same row, next column
    filtered = dynamic_filter(image, kernels)
    assert torch.equal(filtered[..., :-1], image[..., 1:])
    assert torch.equal(filtered[..., -1], image[..., -1])


@pytest.mark.parametrize("channels", [4, 8, 16, 48])
def test_dynamic_filter_needs_an_odd_square(channels: int) -> None:
    with pytest.raises(ValueError, match=f"{channels} channels are not a kernel"):
        dynamic_filter(torch.rand(1, 3, 4, 4), torch.rand(1, channels, 4, 4))


def test_gradients() -> None:
    torch.manual_seed(0)
    image, kernels = _rand(1, 2, 3, 4).requires_grad_(), _rand(1, 9, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(dynamic_filter, (image, kernels))
    filters = _rand(1, 2 * 7 * 2, 3, 4).requires_grad_()
    for bug in (False, True):
        assert torch.autograd.gradcheck(
            lambda image, filters, bug=bug: iterative_adaptive_convolution(image, step_filters(filters, 2), bug),
            (image, filters),
        )


def _pixel_by_pixel(features: Tensor, filters: Tensor, n: int, bug: bool, last: bool) -> Tensor:
    """The definition in plain loops."""
    batch, channels, height, width = features.shape
    out = features.clone()
    for step in range(n):
        for axis in (0, 1):
            before, which = out.clone(), 0 if bug else axis
            for b in range(batch):
                for c in range(channels):
                    for y in range(height):
                        for x in range(width):
                            total = 0.0
                            for tap in range(3):
                                row = min(max(y + (tap - 1) * (axis == 0), 0), height - 1)
                                column = min(max(x + (tap - 1) * (axis == 1), 0), width - 1)
                                index = step * 6 * channels + which * 3 * channels + 3 * c + tap
                                total += float(filters[b, index, y, x] * before[b, c, row, column])
                            out[b, c, y, x] = total
        out += filters[:, 6 * channels * n + step * channels :][:, :channels]
        if last or step < n - 1:
            out = torch.where(out > 0, out, 0.1 * out)
    return out


@pytest.mark.parametrize("bug", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_iterative_adaptive_convolution_against_loops(bug: bool, last: bool) -> None:
    torch.manual_seed(0)
    features, filters = _rand(2, 2, 4, 3), _rand(2, 3 * 7 * 2, 4, 3)
    actual = iterative_adaptive_convolution(features, step_filters(filters, 3), bug, last)
    torch.testing.assert_close(actual, _pixel_by_pixel(features, filters, 3, bug, last), rtol=0, atol=1e-10)


def test_the_shared_kernel_changes_the_result_and_leaves_horizontal_kernels_unused() -> None:
    torch.manual_seed(0)
    features = _rand(1, 2, 4, 4)
    filters = _rand(1, 14, 4, 4).requires_grad_()
    right, wrong = (iterative_adaptive_convolution(features, step_filters(filters, 1), bug) for bug in (False, True))
    assert not torch.allclose(right, wrong)
    (gradient,) = torch.autograd.grad(wrong.sum(), filters)
    used = gradient.abs().amax((0, 2, 3)) > 0
    assert used.tolist() == [True] * 6 + [False] * 6 + [True] * 2


def test_step_filters_are_views() -> None:
    filters = torch.rand(1, 17 * 7 * 4, 2, 2)
    parts = step_filters(filters, 17)
    assert len(parts) == 17
    assert {part.untyped_storage().data_ptr() for step in parts for part in step} == {
        filters.untyped_storage().data_ptr()
    }
