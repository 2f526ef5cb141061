"""scikit-image's TV-L1 at half resolution: known motions, every size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.flow.affine import affine_field
from jdrl_lightning.flow.warp import in_frame, warp


def crop(photo: Tensor, top: int, left: int, height: int = 129, width: int = 144) -> Tensor:
    return photo[None, :, top : top + height, left : left + width] / 255


def mean_error(found: Tensor, truth: Tensor) -> float:
    """Over the pixels that have a partner, 4 px from the border."""
    kept = in_frame(truth)
    kept[..., :4, :] = kept[..., -4:, :] = kept[..., :4] = kept[..., -4:] = 0
    return float(((found - truth).norm(dim=1, keepdim=True) * kept).sum() / kept.sum())


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (0, -3), (-4, 5)])
def test_a_known_shift_has_its_sign(photo: Tensor, dx: int, dy: int) -> None:
    first, second = crop(photo, 60 + dy, 160 + dx), crop(photo, 60, 160)
    found = flow.create("tvl1")(first, second)  # first[p] = second[p + (dx, dy)]
    truth = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 129, 144)
    assert found.shape == truth.shape
    assert found.dtype == torch.float32
    assert mean_error(found, truth) < 0.3  # most of it near the borders that content has entered by


def test_it_follows_motion_under_blur(photo: Tensor) -> None:
    second = crop(photo, 40, 130, 200, 200)
    truth = affine_field(torch.tensor([[[3.0, -1.0, 4.2], [1.2, 2.5, -3.6]]]), second)
    blurry = torch.nn.functional.avg_pool2d(warp(second, truth, mode="bicubic"), 7, 1, 3, count_include_pad=False)
    assert mean_error(flow.create("tvl1")(blurry, second), truth) < 0.5


def test_each_sample_for_itself(photo: Tensor) -> None:
    estimator = flow.create("tvl1")
    first = torch.cat([crop(photo, 60, 160), crop(photo, 200, 40)])
    second = torch.cat([crop(photo, 62, 157), crop(photo, 199, 45)])
    batched = estimator(first, second)
    for i in range(2):
        alone = estimator(first[i : i + 1], second[i : i + 1])
        torch.testing.assert_close(batched[i : i + 1], alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (12, 200), (16, 17), (33, 40)])
def test_finite_at_every_size(size: tuple[int, int]) -> None:
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = flow.create("tvl1")(noise, noise.flip(0))
    assert found.shape == (2, 2, *size)
    assert found.isfinite().all()
    assert flow.create("tvl1")(noise, noise).abs().max() < 1e-3
    assert not flow.create("tvl1")(torch.zeros_like(noise), torch.zeros_like(noise)).any()
