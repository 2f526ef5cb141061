from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning.classical.deconvolution import blur, deconvolve
from jdrl_lightning.classical.spatial import MapDeconvolution
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs, disc
from jdrl_lightning.errors import UserError
from jdrl_lightning.metrics import psnr


@pytest.fixture
def sharp(photo: Tensor) -> Tensor:
    return photo[None, :, 60:188, 190:318].float() / 255


def _two_halves(sharp: Tensor, left: float, right: float) -> tuple[Tensor, Tensor]:
    """Blurred by discs of two radii, and the map."""
    radius = torch.full((1, 1, *sharp.shape[-2:]), left)
    radius[..., 64:] = right
    return blur_by_discs(sharp[0], radius[0, 0])[None], radius


def test_one_radius_is_one_deconvolution(sharp: Tensor) -> None:
    blurry = blur(sharp, disc(3.0, 7))
    radius = torch.full_like(sharp[:, :1], 3.0)
    expected = deconvolve(blurry, disc(3.0, 7), 200.0, 1.5).clamp(0, 1)
    torch.testing.assert_close(MapDeconvolution()(blurry, radius), expected)


def test_between_two_levels_both_count_in_proportion(sharp: Tensor) -> None:
    blurry = blur(sharp, disc(3.0, 7))
    radius = torch.full_like(sharp[:, :1], 3.125)
    low, high = (deconvolve(blurry, disc(r, 2 * side + 1), 200.0, 1.5) for r, side in ((3.0, 3), (3.5, 4)))
    soft, hard = (MapDeconvolution(blend=blend)(blurry, radius) for blend in ("soft", "hard"))
    torch.testing.assert_close(soft, (0.75 * low + 0.25 * high).clamp(0, 1), rtol=0, atol=1e-5)
    torch.testing.assert_close(hard, low.clamp(0, 1))


def test_what_is_sharp_stays_and_what_is_blurred_gains(sharp: Tensor) -> None:
    blurry, radius = _two_halves(sharp, 0.0, 4.0)
    restored = MapDeconvolution()(blurry, radius)
    assert torch.equal(restored[..., :64], blurry[..., :64].clamp(0, 1))
    right = (..., slice(64, None))
    assert psnr(restored[right], sharp[right]) > psnr(blurry[right], sharp[right]) + 1.5


def test_matching_takes_ringing_away_next_to_a_step_in_depth(sharp: Tensor) -> None:
    blurry, radius = _two_halves(sharp, 0.0, 5.0)
    strip = (..., slice(64, 74))
    matched, plain = (MapDeconvolution(match=match)(blurry, radius) for match in (True, False))
    assert psnr(matched[strip], sharp[strip]) > psnr(plain[strip], sharp[strip]) + 1


def test_each_image_of_a_batch_has_its_own_map(sharp: Tensor) -> None:
    first, its_map = _two_halves(sharp, 1.0, 2.5)
    second, other = _two_halves(sharp.flip(-1), 4.0, 0.0)
    deblur = MapDeconvolution(step_px=1.0)
    together = deblur(torch.cat([first, second]), torch.cat([its_map, other]))
    apart = torch.cat([deblur(first, its_map), deblur(second, other)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


def test_gaussian_kernels_for_gaussian_blur(sharp: Tensor) -> None:
    from jdrl_lightning.flow.filters import smooth

    blurry, radius = smooth(sharp, 2.0), torch.full_like(sharp[:, :1], 4.0)
    gaussian, by_disc = (MapDeconvolution(kernel=kernel)(blurry, radius) for kernel in ("gaussian", "disc"))
    assert psnr(gaussian, sharp) > psnr(blurry, sharp) + 1
    assert psnr(gaussian, sharp) > psnr(by_disc, sharp) + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"blend": "feathered"}, "blend='feathered' is not one of soft, hard"),
        ({"kernel": "box"}, "kernel='box' is not one of disc, gaussian"),
        ({"alpha": 2.0}, "alpha=2.0 must be above 0 and below 2"),
        ({"weight": -1.0}, "weight=-1.0 must be above 0"),
        ({"step_px": 0.0}, "step_px=0.0 must be above 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        MapDeconvolution(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("radius", "message"),
    [
        (torch.zeros(1, 1, 8, 7), "does not fit"),
        (torch.full((1, 1, 8, 8), -1.0), "negative or NaN"),
        (torch.full((1, 1, 8, 8), torch.nan), "negative or NaN"),
    ],
)
def test_invalid_maps_are_refused(radius: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MapDeconvolution()(torch.rand(1, 3, 8, 8), radius)
