"""Calibration masks on flows whose answer can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from jdrl_lightning.flow.masks import calibration_mask, kept_quantile
from jdrl_lightning.flow.warp import invert

SIZE = 65


def zoomed(zoom: float, dx: float = 0.0, dy: float = 0.0) -> Tensor:
    offset = torch.arange(SIZE, dtype=torch.float32) - SIZE // 2
    x, y = zoom * offset.expand(SIZE, SIZE) + dx, zoom * offset[:, None].expand(SIZE, SIZE) + dy
    return torch.stack([x, y])[None]


SHIFT = zoomed(0, 6, -4)


def kept(mask: Tensor) -> float:
    return float(mask.mean())


def test_eq_4_on_a_pure_zoom_is_a_ring() -> None:
    lam, zoom = 0.35, 0.03
    mask = calibration_mask(zoomed(zoom), lam)
    assert mask.shape == (1, 1, SIZE, SIZE)
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    offset = torch.arange(SIZE) - SIZE // 2
    radius = torch.hypot(*torch.meshgrid(offset.float(), offset.float(), indexing="ij"))
    # The mean distance from the middle of a square of side 1 is (sqrt 2 + asinh 1) / 6.
    mean = SIZE * (math.sqrt(2) + math.asinh(1)) / 6
    expected = ((1 - lam) * mean < radius) & (radius < (1 + lam) * mean)
    assert (mask[0, 0] != expected).float().mean() < 0.01
    assert mask[0, 0, SIZE // 2, SIZE // 2] == 0  # the true flow of the centre is rejected


def test_eq_4_keeps_a_shift_and_rejects_what_moves_otherwise() -> None:
    assert kept(calibration_mask(SHIFT)) == 1
    disturbed = SHIFT.clone()
    disturbed[..., 10:20, 30:50] *= 2
    mask = calibration_mask(disturbed)
    assert kept(mask[..., 10:20, 30:50]) == 0
    assert kept(mask) == pytest.approx(1 - 200 / SIZE**2)


def test_lam_is_the_tolerance_and_strict() -> None:
    """Magnitudes 3 and 5 in equal parts: their mean is 4, and both are a quarter of it away."""
    flow = torch.tensor([3.0, 5.0]).view(1, 1, 1, 2) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    assert [kept(calibration_mask(flow, lam)) for lam in (0.24, 0.25, 0.26)] == [0, 0, 1]
    assert kept(calibration_mask(flow, 0.1, min_px=1.1)) == 1
    assert kept(calibration_mask(flow, 0.1, min_px=0.9)) == 0


@pytest.mark.parametrize("kind", ["magnitude", "colorwheel"])
def test_an_aligned_pair_needs_the_floor(kind: str) -> None:
    still = torch.zeros(1, 2, 12, 12)
    tiny = 0.1 * torch.randn(1, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    assert kept(calibration_mask(still, kind="magnitude", min_px=0.0)) == 0  # 0 < 0 < 0
    assert kept(calibration_mask(still, kind=kind, min_px=0.5)) == 1
    assert kept(calibration_mask(tiny, kind="magnitude", min_px=0.0)) < 0.6
    assert kept(calibration_mask(tiny, kind=kind, min_px=0.5)) == 1


def test_colorwheel_keeps_nearly_everything() -> None:
    for flow, least in ((SHIFT, 1.0), (zoomed(0.02), 0.85), (zoomed(0.02, 6, -4), 0.95), (zoomed(-0.02, 6, -4), 0.95)):
        assert kept(calibration_mask(flow, kind="colorwheel")) >= least
    assert kept(calibration_mask(zoomed(0.02))) < 0.75  # where Eq. 4 as printed does not


def test_residual_finds_planted_outliers() -> None:
    jitter = 0.2 * torch.randn(1, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    flow = zoomed(0.03, 6, -4) + jitter
    flow[..., 5:15, 40:60] += torch.tensor([3.0, -3.0]).view(2, 1, 1)
    mask = calibration_mask(flow, kind="residual")
    planted = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    planted[5:15, 40:60] = True
    assert kept(mask[0, 0][planted]) == 0
    assert kept(mask[0, 0][~planted]) > 0.95
    assert kept(calibration_mask(flow, kind="residual", min_px=6.0)) == 1
    assert kept(calibration_mask(zoomed(0.03, 6, -4), kind="residual")) == 1  # no spread, nothing to reject


def test_consistency_finds_planted_inconsistency() -> None:
    forward = zoomed(0.03, 4, -2)
    backward = invert(forward)
    assert kept(calibration_mask(forward, kind="consistency", backward=backward)) > 0.99
    forward[..., 20:30, 10:25] += 2.5
    mask = calibration_mask(forward, kind="consistency", backward=backward)
    assert kept(mask[..., 20:30, 10:25]) == 0
    assert kept(mask) > 0.99 - 150 / SIZE**2
    assert kept(calibration_mask(forward, kind="consistency", backward=backward, min_px=4.0)) > 0.99


def test_the_reverse_flow_is_looked_up_where_the_flow_leads() -> None:
    """Motion of 20 px left of column 40, none right of it: -20 comes back only from columns 20 to 59."""
    forward, backward = torch.zeros(1, 2, 9, 80), torch.zeros(1, 2, 9, 80)
    forward[:, 0, :, :40] = 20.0
    backward[:, 0, :, 20:60] = -20.0
    mask = calibration_mask(forward, kind="consistency", backward=backward)[0, 0, 4]
    assert torch.equal(mask, torch.cat([torch.ones(40), torch.zeros(20), torch.ones(20)]))


def test_many_outliers_do_not_bend_the_motion_that_they_are_judged_by() -> None:
    jitter = 0.2 * torch.randn(1, 2, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    flow = zoomed(0.03, 6, -4) + jitter
    flow[..., :30, :30] += torch.tensor([9.0, -6.0]).view(2, 1, 1)  # a fifth of the image, in one corner
    mask = calibration_mask(flow, kind="residual")
    assert kept(mask[..., :30, :30]) == 0
    assert kept(mask) > 0.95 * (1 - 30 * 30 / SIZE**2)


@pytest.mark.parametrize("kind", ["magnitude", "colorwheel", "residual", "consistency"])
def test_each_sample_for_itself_and_without_gradient(kind: str) -> None:
    generator = torch.Generator().manual_seed(2)
    flows = torch.cat([zoomed(0.03), 5 * SHIFT, zoomed(0.01, 1, 1)])
    flows[..., 20:30, 30:40] += 4 * torch.randn(3, 2, 10, 10, generator=generator)
    backward = -flows.roll(2, 2)
    batched = calibration_mask(flows.requires_grad_(), kind=kind, backward=backward, min_px=0.5)
    assert not batched.requires_grad
    assert batched.dtype == flows.dtype
    assert 0 < kept(batched) < 1
    for i in range(3):
        cut = slice(i, i + 1)
        single = calibration_mask(flows[cut], kind=kind, backward=backward[cut], min_px=0.5)
        assert torch.equal(batched[cut], single)


def test_what_is_unknown_or_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="colourwheel"):
        calibration_mask(SHIFT, kind="colourwheel")
    with pytest.raises(ValueError, match="backward"):
        calibration_mask(SHIFT, kind="consistency")


@pytest.mark.parametrize("stride", [1, 4])
def test_the_quantile_is_that_of_the_kept_pixels(stride: int) -> None:
    flow = torch.cat([zoomed(0.1), zoomed(0.3)])
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[0, :, : SIZE // 2] = 1  # of the first image the upper half, of the second nothing
    length = flow[0].norm(dim=0)[: SIZE // 2]
    expected = torch.quantile(length.flatten(), 0.95).item()
    assert kept_quantile(flow, mask, stride=stride).item() == pytest.approx(expected, rel=1e-6 if stride == 1 else 0.05)
    assert kept_quantile(flow, torch.zeros_like(mask)).isnan()
