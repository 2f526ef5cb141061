"""The libraries' estimators that need no weights: known motions, every size."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.flow.affine import affine_field
from jdrl_lightning.flow.warp import in_frame, warp


class Bounds(NamedTuple):
    """Mean errors, px, of a shift and under blur, and how far a sample may depend on its batch."""

    shift: float
    blur: float
    batch: float


# Most of tvl1's error lies near the borders that content has entered by.
ESTIMATORS = {"dis": Bounds(0.1, 0.35, 0.0), "tvl1": Bounds(0.3, 0.5, 1e-3)}


@pytest.fixture(params=ESTIMATORS)
def name(request: pytest.FixtureRequest) -> str:
    if request.param == "dis":
        pytest.importorskip("cv2")
    return str(request.param)


def crop(photo: Tensor, top: int, left: int, height: int = 128, width: int = 144) -> Tensor:
    return photo[None, :, top : top + height, left : left + width] / 255


def mean_error(found: Tensor, truth: Tensor) -> float:
    """Over the pixels that have a partner, 4 px from the border."""
    kept = in_frame(truth)
    kept[..., :4, :] = kept[..., -4:, :] = kept[..., :4] = kept[..., -4:] = 0
    return float(((found - truth).norm(dim=1, keepdim=True) * kept).sum() / kept.sum())


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (3, 0), (5, 0), (0, -3), (-4, 5), (-4, 6)])
def test_a_known_shift_has_its_sign(name: str, photo: Tensor, dx: int, dy: int) -> None:
    first, second = crop(photo, 60 + dy, 160 + dx), crop(photo, 60, 160)
    found = flow.create(name)(first, second)  # first[p] = second[p + (dx, dy)]
    truth = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 128, 144)
    assert found.shape == truth.shape
    assert found.dtype == torch.float32
    assert mean_error(found, truth) < ESTIMATORS[name].shift


def test_it_follows_motion_under_blur(name: str, photo: Tensor) -> None:
    second = crop(photo, 40, 130, 200, 200)
    truth = affine_field(torch.tensor([[[3.0, -1.0, 4.2], [1.2, 2.5, -3.6]]]), second)
    blurry = torch.nn.functional.avg_pool2d(warp(second, truth, mode="bicubic"), 7, 1, 3, count_include_pad=False)
    assert mean_error(flow.create(name)(blurry, second), truth) < ESTIMATORS[name].blur


def test_each_sample_for_itself(name: str, photo: Tensor) -> None:
    estimator = flow.create(name)
    first = torch.cat([crop(photo, 60, 160), crop(photo, 200, 40)])
    second = torch.cat([crop(photo, 62, 157), crop(photo, 199, 45)])
    batched = estimator(first, second)
    estimator(first[..., :20, :20], second[..., :20, :20])  # a small image must not change what comes after
    for i in range(2):
        alone = estimator(first[i : i + 1], second[i : i + 1])
        torch.testing.assert_close(batched[i : i + 1], alone, rtol=0, atol=ESTIMATORS[name].batch)


@pytest.mark.parametrize("size", [(1, 1), (12, 200), (16, 16), (16, 17), (17, 31), (32, 32), (33, 40), (40, 33)])
def test_finite_at_every_size(name: str, size: tuple[int, int]) -> None:
    estimator = flow.create(name)
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = estimator(noise, noise.flip(0))
    assert found.shape == (2, 2, *size)
    assert found.isfinite().all()
    assert estimator(noise, noise).abs().max() < 1e-3
    assert estimator(torch.zeros_like(noise), torch.zeros_like(noise)).abs().max() < 1e-3
