"""The camera: shapes of the aperture, the sensor's noise, mosaic and files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kornia.color import rgb_to_linear_rgb
from scipy.ndimage import convolve

from jdrl_lightning.data.synthetic.camera import CAMERAS, Aperture, Optics, camera, demosaicked
from jdrl_lightning.data.synthetic.defocus_psf import disc_kernel
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.render import render
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import to_float

ROUND = Aperture(blades=0, turn=0.3, curved=0.0, cut=0.0, towards=0.0, edge=0.0, ring=0.0)


def vary(**changes: float) -> Aperture:
    return Aperture(**{**ROUND.__dict__, **changes})


def moments(kernel: torch.Tensor) -> tuple[float, float, float]:
    """Centre in x and y, and the mean square distance from the middle."""
    offset = torch.arange(len(kernel), dtype=torch.float64) - len(kernel) // 2
    square = offset.square()[:, None] + offset.square()
    return float((kernel.sum(0) * offset).sum()), float((kernel.sum(1) * offset).sum()), float((kernel * square).sum())


def test_a_round_aperture_is_the_disc() -> None:
    kernel, expected = ROUND(6), disc_kernel(6)
    margin = (len(kernel) - len(expected)) // 2
    torch.testing.assert_close(kernel[margin:-margin, margin:-margin], expected)
    assert kernel.sum() == pytest.approx(1)


@pytest.mark.parametrize("blades", [5, 6, 7, 9])
def test_a_polygon_has_the_discs_area_and_its_corners_are_inside(blades: int) -> None:
    kernel = vary(blades=blades)(20)
    assert float((kernel / kernel.max()).sum()) == pytest.approx(np.pi * 20**2, rel=0.01)
    for edge in (kernel[0], kernel[-1], kernel[:, 0], kernel[:, -1]):
        assert edge.max() == 0
    x, y, _ = moments(kernel)
    assert abs(x) < 0.05
    assert abs(y) < 0.05
    turned = vary(blades=blades, turn=0.3 + 2 * np.pi / blades)(20)
    torch.testing.assert_close(turned, kernel)
    assert not torch.allclose(vary(blades=blades, turn=0.3 + np.pi / blades)(20), kernel, atol=1e-5)


def test_curved_blades_are_a_circle() -> None:
    torch.testing.assert_close(vary(blades=5, curved=1.0)(8), ROUND(8))


def test_the_barrels_rim_cuts_one_side() -> None:
    kernel = vary(cut=0.5, towards=0.0)(12)
    x, y, _ = moments(kernel)
    assert x == pytest.approx(0.25 * 12, rel=0.05)  # the lens between two circles, half a radius apart
    assert abs(y) < 1e-9


def test_rings_and_soft_edges_move_light_outwards() -> None:
    middle = moments(ROUND(12))[2]
    assert moments(vary(ring=0.4)(12))[2] > middle > moments(vary(ring=-0.4)(12))[2]
    assert moments(vary(edge=0.3)(12))[2] > middle


def test_a_mirror_lens_draws_rings() -> None:
    kernel = vary(hole=0.5)(12)
    middle = len(kernel) // 2
    assert kernel[middle, middle] == 0
    lit = float((kernel / kernel.max()).sum())
    assert lit == pytest.approx(np.pi * (12**2 - 6**2), rel=0.02)
    assert kernel.sum() == pytest.approx(1)


def test_the_default_camera_draws_the_disc_and_the_noise_of_base_iso() -> None:
    shot = Optics().draw(np.random.default_rng(0))
    assert shot.kernel is disc_kernel
    assert (shot.in_focus, shot.quality, shot.bayer) == (False, 100, 0)
    assert (shot.read_variance, shot.shot_variance) == pytest.approx((0.0005**2, 0.0001))


def test_noise_has_its_variance_and_grows_with_the_sensitivity() -> None:
    shots = [Optics(iso=3200).draw(np.random.default_rng(n)) for n in range(300)]
    stops = np.log2([shot.shot_variance / 0.0001 for shot in shots])
    assert 0 <= stops.min() < 0.3
    assert 4.7 < stops.max() <= 5
    assert np.mean(stops) == pytest.approx(2.5, abs=0.3)
    noisy = next(shot for shot in shots if shot.shot_variance > 0.002)
    taken = rgb_to_linear_rgb(to_float(noisy.take(torch.full((3, 200, 200), 0.25), np.random.default_rng(0), 1.0)))
    assert float(taken.var()) == pytest.approx(0.25 * noisy.shot_variance + noisy.read_variance, rel=0.05)


def test_half_of_the_frames_are_compressed() -> None:
    qualities = np.array([CAMERAS["varied"].draw(np.random.default_rng(n)).quality for n in range(400)])
    assert qualities.min() == 75
    assert (qualities == 100).mean() == pytest.approx(0.5, abs=0.08)


def test_jpeg_changes_little() -> None:
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    shot = CAMERAS["default"].draw(np.random.default_rng(0))
    plain, squeezed = (
        s.take(image, np.random.default_rng(1), 0.0) for s in (shot, shot.__class__(**{**shot.__dict__, "quality": 75}))
    )
    change = (plain.int() - squeezed.int()).abs().float().mean()
    assert 0.5 < change < 20


def test_demosaicking_is_bilinear() -> None:
    image = torch.rand(3, 12, 15, generator=torch.Generator().manual_seed(0))
    mask = np.zeros((3, 12, 15))
    mask[0, ::2, ::2] = mask[2, 1::2, 1::2] = 1
    mask[1] = 1 - mask[0] - mask[2]
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    tent = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    for channel, kernel in enumerate((tent, cross, tent)):
        expected = convolve(image[channel].numpy() * mask[channel], kernel, mode="constant")
        np.testing.assert_allclose(demosaicked(image)[channel, 1:-1, 1:-1], expected[1:-1, 1:-1], atol=1e-6)


def test_varied_frames_are_rendered_and_some_are_sharp() -> None:
    photo = torch.rand(3, 200, 220, generator=torch.Generator().manual_seed(0))
    largest = []
    for n in range(40):
        pair = render((n,), photo, [photo], (64, 72), CAMERAS["varied"], preset("none"), "")
        again = render((n,), photo, [photo], (64, 72), CAMERAS["varied"], preset("none"), "")
        assert torch.equal(pair.blurry, again.blurry)
        largest.append(float(pair.extras["coc"].max()))
    assert min(largest) == 0
    assert 8 < max(largest) <= 12


def test_own_settings_come_on_top() -> None:
    assert camera("varied", blur_px=3.0, iso=None) == Optics(**{**CAMERAS["varied"].__dict__, "blur_px": 3.0})
    with pytest.raises(UserError, match=r"data\.camera"):
        camera("pinhole")
    with pytest.raises(UserError, match=r"data\.optics"):
        camera("varied", blade=7)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"blades": 4}, r"data\.blades=4"),
        ({"blades": 5.5}, r"data\.blades=5\.5"),
        ({"iso": 50}, r"data\.iso=50"),
        ({"ring": 2}, "=2"),
    ],
)
def test_settings_out_of_range(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Optics(**setting)  # type: ignore[arg-type]
