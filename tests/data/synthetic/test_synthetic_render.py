"""Real photographs rendered: exact flow, images in place, light conserved, nothing from beyond the scene."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_linear_rgb
from skimage.registration import phase_cross_correlation
from torch import Tensor

from jdrl_lightning.data.srgb import linear
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import from_scikit_image
from jdrl_lightning.data.synthetic.render import Optics, render
from jdrl_lightning.flow.gauss_newton import smooth
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.types import Pair

SIZE = (112, 128)
CLEAN = Optics(gain=0, white_balance=0, read_noise=0, shot_noise=0)


@cache
def photographs() -> tuple[Tensor, ...]:
    shipped = [p for p in from_scikit_image("train") if p.name in ("astronaut", "hubble_deep_field", "gravel")]
    return tuple(smooth(p.load()[None, :, :480, :480], 0.6)[0] for p in shipped)


def rendered(variant: int, misalignment: str = "nonrigid", optics: Optics = CLEAN, amplitude: float = 1.0) -> Pair:
    return _rendered(variant, misalignment, optics, amplitude)


@cache
def _rendered(variant: int, misalignment: str, optics: Optics, amplitude: float) -> Pair:
    images = photographs()
    key, photo = (0, 1, variant), images[variant % len(images)]
    return render(key, photo, images, SIZE, optics, preset(misalignment, amplitude), f"frame_{variant}")


def psnr(one: Tensor, other: Tensor, mask: Tensor | None = None) -> float:
    error = ((one.float() - other.float()) / 255).square()
    kept = torch.ones_like(error) if mask is None else mask.expand_as(error)
    return float(-10 * torch.log10((error * kept).sum() / kept.sum()))


def away_from_edges(pair: Pair) -> Tensor:
    """1 where no surface's edge, and so nothing hidden in one shot only, is nearby: ``(1, H, W)``.

    The circle of confusion tells surfaces apart where their flows happen to be alike.
    """
    fields = torch.cat([pair.extras["flow"] / 0.3, pair.extras["coc"] / 0.05])
    down, across = (F.pad(fields.diff(dim=dim).abs(), pad) for dim, pad in ((1, (0, 0, 1, 0)), (2, (1, 0))))
    step = torch.maximum(down, across).amax(0, keepdim=True) > 1
    near = F.max_pool2d(step[None].float(), 21, 1, 10)[0]
    return (1 - near) * in_frame(pair.extras["flow"][None])[0]


@pytest.mark.parametrize("misalignment", ["random", "biased", "nonrigid"])
@pytest.mark.parametrize("variant", range(3))
def test_the_flow_brings_the_sharp_shot_into_place(variant: int, misalignment: str) -> None:
    pair = rendered(variant, misalignment)
    flow, aligned = pair.extras["flow"], pair.extras["aligned"]
    warped = warp(pair.sharp.float()[None], flow[None], mode="bicubic")[0]
    mask = away_from_edges(pair)
    assert mask.mean() > 0.2
    assert psnr(warped, aligned, mask) > 34
    assert psnr(warped, aligned, mask) > psnr(pair.sharp, aligned, mask) + 10


def test_the_flow_is_exact_for_a_large_displacement_too() -> None:
    # One step of the inversion only would be a whole pixel off here.
    pair = rendered(1, "random", amplitude=4.0)
    flow = pair.extras["flow"]
    assert float(flow.norm(dim=0).mean()) > 8
    warped = warp(pair.sharp.float()[None], flow[None], mode="bicubic")[0]
    assert psnr(warped, pair.extras["aligned"], away_from_edges(pair)) > 34


def test_a_wrong_flow_does_not() -> None:
    pair = rendered(0)
    mask = away_from_edges(pair)
    for wrong in (-pair.extras["flow"], pair.extras["flow"].flip(0), pair.extras["flow"] + 0.5):
        warped = warp(pair.sharp.float()[None], wrong[None], mode="bicubic")[0]
        assert psnr(warped, pair.extras["aligned"], mask) < 33


def test_light_and_noise_leave_the_geometry_alone() -> None:
    plain, lit = rendered(2, "nonrigid", CLEAN), rendered(2, "nonrigid", Optics(gain=0.1))
    assert torch.equal(plain.extras["flow"], lit.extras["flow"])
    assert torch.equal(plain.extras["coc"], lit.extras["coc"])
    assert not torch.equal(plain.sharp, lit.sharp)


def test_the_truth_has_no_noise() -> None:
    clean, noisy = rendered(1), rendered(1, "nonrigid", Optics(gain=0, white_balance=0))
    assert torch.equal(clean.extras["aligned"], noisy.extras["aligned"])
    assert not torch.equal(clean.sharp, noisy.sharp)


def test_the_sharp_shot_has_half_the_noise_of_the_blurry_one() -> None:
    grey = torch.full((3, 400, 400), 0.5)
    pair = render((0, 0, 0), grey, [grey], (128, 128), Optics(gain=0, white_balance=0), preset("none"), "grey")
    blurry, sharp = (float(image.float().std()) for image in (pair.blurry, pair.sharp))
    # Rounding to 8 bit adds a variance of 1/12 to each.
    assert (blurry**2 - 1 / 12) ** 0.5 == pytest.approx(2 * (sharp**2 - 1 / 12) ** 0.5, rel=0.15)


@pytest.mark.parametrize(("blur_px", "amplitude"), [(7.0, 1.0), (12.0, 1.0), (7.0, 6.0)])
def test_one_colour_stays_that_colour(blur_px: float, amplitude: float) -> None:
    grey = linear(torch.full((3, 300, 300), 128 / 255))
    for variant in range(4):
        optics = Optics(blur_px, 0, 0, 0, 0)
        pair = render((0, 0, variant), grey, [grey], (96, 96), optics, preset("nonrigid", amplitude), "grey")
        for image in (pair.blurry, pair.extras["aligned"]):
            assert (int(image.min()), int(image.max())) == (128, 128)
        # A displaced cut-out's light and coverage are interpolated apart: a few levels may show at its edge.
        assert 122 <= int(pair.sharp.min()) <= int(pair.sharp.max()) <= 134


def test_defocus_spreads_light_and_not_its_code() -> None:
    photo = torch.zeros(3, 400, 400)
    photo[:, ::12, ::12] = 1  # far points of light: blurred in sRGB they would lose most of it
    for variant in range(3):
        pair = render((0, 0, variant), photo, [photo], SIZE, CLEAN, preset("none"), "lights")
        sharp, blurry = (
            float(rgb_to_linear_rgb(image / 255).mean()) for image in (pair.extras["aligned"], pair.blurry)
        )
        assert blurry == pytest.approx(sharp, rel=0.08)


def test_the_blurry_image_lies_where_the_aligned_one_does() -> None:
    for variant in range(3):
        pair = rendered(variant, "random")
        grey = [image.float().mean(0).numpy() for image in (pair.extras["aligned"], pair.blurry)]
        shift, *_ = phase_cross_correlation(*grey, upsample_factor=20, normalization=None)
        assert np.abs(shift).max() < 0.15


def test_the_circle_of_confusion_stays_within_its_range_and_uses_it() -> None:
    default = torch.stack([rendered(variant, "none").extras["coc"] for variant in range(12)])
    heavy = torch.stack([rendered(variant, "none", Optics(12.0, 0, 0, 0, 0)).extras["coc"] for variant in range(12)])
    assert 0 <= float(default.min()) < 0.05
    assert 4.5 < float(default.max()) <= 7
    assert 7 < float(heavy.max()) <= 12
    assert ((default < 1).float().mean() > 0.15) & ((default > 3).float().mean() > 0.1)
    assert torch.allclose(heavy, default * 12 / 7, atol=1e-4)
