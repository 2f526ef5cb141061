"""OpenCV's dense inverse search: known motions, every size, and what it is fed with."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow import dis
from jdrl_lightning.flow.affine import affine_field
from jdrl_lightning.flow.warp import in_frame, warp

cv2 = pytest.importorskip("cv2")


def crop(photo: Tensor, top: int, left: int, height: int = 128, width: int = 144) -> Tensor:
    return photo[None, :, top : top + height, left : left + width] / 255


def mean_error(found: Tensor, truth: Tensor) -> float:
    """Over the pixels that have a partner, 4 px from the border."""
    kept = in_frame(truth)
    kept[..., :4, :] = kept[..., -4:, :] = kept[..., :4] = kept[..., -4:] = 0
    return float(((found - truth).norm(dim=1, keepdim=True) * kept).sum() / kept.sum())


@pytest.mark.parametrize(("dx", "dy"), [(5, 0), (0, -3), (-4, 6)])
def test_a_known_shift_has_its_sign(photo: Tensor, dx: int, dy: int) -> None:
    first, second = crop(photo, 60 + dy, 160 + dx), crop(photo, 60, 160)
    found = flow.create("dis")(first, second)  # first[p] = second[p + (dx, dy)]
    truth = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 128, 144)
    assert found.shape == truth.shape
    assert found.dtype == torch.float32
    assert mean_error(found, truth) < 0.1


def test_it_follows_motion_under_blur(photo: Tensor) -> None:
    second = crop(photo, 40, 130, 200, 200)
    truth = affine_field(torch.tensor([[[3.0, -1.0, 4.2], [1.2, 2.5, -3.6]]]), second)
    blurry = torch.nn.functional.avg_pool2d(warp(second, truth, mode="bicubic"), 7, 1, 3, count_include_pad=False)
    assert mean_error(flow.create("dis")(blurry, second), truth) < 0.35


def test_each_sample_for_itself(photo: Tensor) -> None:
    estimator = flow.create("dis")
    first = torch.cat([crop(photo, 60, 160), crop(photo, 200, 40)])
    second = torch.cat([crop(photo, 62, 157), crop(photo, 199, 45)])
    batched = estimator(first, second)
    estimator(first[..., :20, :20], second[..., :20, :20])  # a small image must not change what comes after
    for i in range(2):
        assert torch.equal(batched[i : i + 1], estimator(first[i : i + 1], second[i : i + 1]))


@pytest.mark.parametrize("size", [(1, 1), (12, 200), (16, 16), (17, 31), (32, 32), (40, 33)])
def test_finite_at_every_size(size: tuple[int, int]) -> None:
    noise = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    found = flow.create("dis")(noise, noise.flip(0))
    assert found.shape == (2, 2, *size)
    assert found.isfinite().all()
    assert flow.create("dis")(noise, noise).abs().max() < 1e-3


def test_it_sees_smoothed_grey(photo: Tensor) -> None:
    image = crop(photo, 60, 160)
    eight_bit = dis._eight_bit(image)
    rgb = np.ascontiguousarray(image[0].permute(1, 2, 0).numpy())
    expected = cv2.GaussianBlur(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (13, 13), 2.0, borderType=cv2.BORDER_REPLICATE)
    assert eight_bit.dtype == np.uint8
    np.testing.assert_allclose(eight_bit[0], 255 * expected, atol=0.51)


def test_settings() -> None:
    solver = dis._solver()
    assert (solver.getPatchSize(), solver.getPatchStride(), solver.getFinestScale()) == (16, 4, 1)
    assert (solver.getVariationalRefinementAlpha(), solver.getVariationalRefinementIterations()) == (40, 10)


def test_opencv_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match=r"pip install 'jdrl_lightning\[opencv\]'"):
        flow.create("dis")
