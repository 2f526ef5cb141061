"""The truth of a rendered pair is true: place, flow, defocus, and equal sharpness of both sharp images."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage.registration import phase_cross_correlation
from torch import Tensor

from jdrl_lightning.data.synthetic import render as renderer
from jdrl_lightning.data.synthetic.box import Box, coordinates, cut
from jdrl_lightning.data.synthetic.disc import blur_by_discs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import dead_leaves, from_scikit_image
from jdrl_lightning.data.synthetic.render import MASTER, Optics, render
from jdrl_lightning.data.synthetic.scene import draw_scene
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


def away_from_edges(flow: Tensor) -> Tensor:
    """1 where no step of the flow, and so no surface hidden in one shot only, is nearby: ``(1, H, W)``."""
    step = (flow[:, 1:, 1:] - flow[:, :-1, :-1]).abs().sum(0, keepdim=True) > 0.3
    near = F.max_pool2d(step[None].float(), 21, 1, 10)[0]
    return F.pad(1 - near, (1, 0, 1, 0)) * in_frame(flow[None])[0]


@pytest.mark.parametrize("misalignment", ["random", "biased", "nonrigid"])
@pytest.mark.parametrize("variant", range(3))
def test_the_flow_brings_the_sharp_shot_into_place(variant: int, misalignment: str) -> None:
    pair = rendered(variant, misalignment)
    flow, aligned = pair.extras["flow"], pair.extras["aligned"]
    warped = warp(pair.sharp.float()[None], flow[None], mode="bicubic")[0]
    mask = away_from_edges(flow)
    assert mask.mean() > 0.2
    assert psnr(warped, aligned, mask) > 34
    assert psnr(warped, aligned, mask) > psnr(pair.sharp, aligned, mask) + 10


def test_a_wrong_flow_does_not() -> None:
    pair = rendered(0)
    mask = away_from_edges(pair.extras["flow"])
    for wrong in (-pair.extras["flow"], pair.extras["flow"].flip(0), pair.extras["flow"] + 0.5):
        warped = warp(pair.sharp.float()[None], wrong[None], mode="bicubic")[0]
        assert psnr(warped, pair.extras["aligned"], mask) < 33


@pytest.mark.parametrize("misalignment", ["random", "biased", "nonrigid"])
def test_all_but_the_sharp_shot_is_the_same_whatever_the_misalignment(misalignment: str) -> None:
    still, moved = rendered(1, "none", Optics()), rendered(1, misalignment, Optics())
    assert torch.equal(still.blurry, moved.blurry)
    assert torch.equal(still.extras["aligned"], moved.extras["aligned"])
    assert torch.equal(still.extras["coc"], moved.extras["coc"])
    assert not torch.equal(still.sharp, moved.sharp)


def test_light_and_noise_leave_the_geometry_alone() -> None:
    plain, lit = rendered(2, "nonrigid", CLEAN), rendered(2, "nonrigid", Optics(gain=0.1))
    assert torch.equal(plain.extras["flow"], lit.extras["flow"])
    assert torch.equal(plain.extras["coc"], lit.extras["coc"])
    assert not torch.equal(plain.sharp, lit.sharp)


def test_without_misalignment_only_noise_tells_sharp_and_aligned_apart() -> None:
    clean, noisy = rendered(1, "none"), rendered(1, "none", Optics(gain=0, white_balance=0))
    assert not clean.extras["flow"].any()
    assert torch.equal(clean.sharp, clean.extras["aligned"])
    assert 40 < psnr(noisy.sharp, noisy.extras["aligned"]) < 60
    assert torch.equal(noisy.extras["aligned"], clean.extras["aligned"])  # the truth has no noise


def test_the_sharp_shot_has_half_the_noise_of_the_blurry_one() -> None:
    grey = torch.full((3, 400, 400), 0.5)
    pair = render((0, 0, 0), grey, [grey], (128, 128), Optics(gain=0, white_balance=0), preset("none"), "grey")
    blurry, sharp = (float(image.float().std()) for image in (pair.blurry, pair.sharp))
    # Rounding to 8 bit adds a variance of 1/12 to each.
    assert (blurry**2 - 1 / 12) ** 0.5 == pytest.approx(2 * (sharp**2 - 1 / 12) ** 0.5, rel=0.15)


@pytest.mark.parametrize(("blur_px", "amplitude"), [(7.0, 1.0), (12.0, 1.0), (7.0, 6.0)])
def test_one_colour_stays_that_colour(blur_px: float, amplitude: float) -> None:
    grey = torch.full((3, 300, 300), 128 / 255)
    for variant in range(4):
        optics = Optics(blur_px, 0, 0, 0, 0)
        pair = render((0, 0, variant), grey, [grey], (96, 96), optics, preset("nonrigid", amplitude), "grey")
        for image in (pair.blurry, pair.extras["aligned"]):
            assert (int(image.min()), int(image.max())) == (128, 128)
        # A displaced cut-out's light and coverage are interpolated apart: a few levels may show at its edge.
        assert 122 <= int(pair.sharp.min()) <= int(pair.sharp.max()) <= 134


def test_the_blurry_image_lies_where_the_aligned_one_does() -> None:
    for variant in range(3):
        pair = rendered(variant, "random")
        grey = [image.float().mean(0).numpy() for image in (pair.extras["aligned"], pair.blurry)]
        shift, *_ = phase_cross_correlation(*grey, upsample_factor=20, normalization=None)
        assert np.abs(shift).max() < 0.15


def test_what_is_out_of_focus_is_blurred_and_the_rest_is_not() -> None:
    def detail(image: Tensor) -> Tensor:
        grey = image.float().mean(0, keepdim=True)
        return F.avg_pool2d((grey - F.avg_pool2d(grey[None], 3, 1, 1)[0])[None].abs(), 9, 1, 4)[0]

    lost: dict[str, list[Tensor]] = {"sharp": [], "light": [], "heavy": []}
    for variant in range(9):
        pair = rendered(variant)
        coc, (before, after) = pair.extras["coc"], (detail(pair.extras["aligned"]), detail(pair.blurry))
        widest, narrowest = F.max_pool2d(coc[None], 17, 1, 8)[0], -F.max_pool2d(-coc[None], 17, 1, 8)[0]
        ratio = after / before.clamp_min(1)
        for kind, here in (
            ("sharp", widest < 0.3),
            ("light", (narrowest > 1) & (widest < 2)),
            ("heavy", narrowest > 3),
        ):
            lost[kind].append(ratio[here & (before > 4)])
    sharp, light, heavy = (float(torch.cat(lost[kind]).median()) for kind in ("sharp", "light", "heavy"))
    assert sharp > 0.85
    assert sharp - 0.1 > light > heavy + 0.05
    assert heavy < 0.3


def test_the_circle_of_confusion_stays_within_its_range_and_uses_it() -> None:
    default = torch.stack([rendered(variant, "none").extras["coc"] for variant in range(12)])
    heavy = torch.stack([rendered(variant, "none", Optics(12.0, 0, 0, 0, 0)).extras["coc"] for variant in range(12)])
    assert 0 <= float(default.min()) < 0.05
    assert 4.5 < float(default.max()) <= 7
    assert 7 < float(heavy.max()) <= 12
    assert ((default < 1).float().mean() > 0.15) & ((default > 3).float().mean() > 0.1)
    assert torch.allclose(heavy, default * 12 / 7, atol=1e-4)


def test_nothing_wraps_around_a_layer() -> None:
    frame = Box.centred(SIZE[0] * MASTER, SIZE[1] * MASTER)
    far = frame.grown(80)
    x, y = coordinates(far, MASTER)

    def radius(plane: renderer.Plane, x: Tensor, y: Tensor) -> Tensor:
        return (12 * (plane(x, y) - 0.3)).abs()

    cropped = 0
    for seed in range(10):
        layers = draw_scene(np.random.default_rng(seed), photographs()[0], photographs(), frame.grown(48), MASTER)
        for layer in layers:
            blurred, part = renderer._defocused(layer, frame, radius)
            common = part.common(frame)
            expected = blur_by_discs(cut(layer.rgba, layer.extent, far), radius(layer.plane, x, y) * MASTER)
            cropped += layer.extent.common(frame) != layer.extent
            assert torch.allclose(common.of(blurred, part), common.of(expected, far), atol=1e-5)
            assert float((cut(common.of(blurred, part), common, frame) - frame.of(expected, far)).abs().max()) < 1e-4
    assert cropped > 10  # layers that the frame's edge cuts are those that could


@pytest.mark.parametrize("misalignment", ["random", "nonrigid"])
def test_the_displaced_shot_is_no_softer(misalignment: str) -> None:
    texture = smooth(dead_leaves("train", 0, size=320)[0].load()[None], 0.6)[0]
    window = torch.hann_window(SIZE[0])[:, None] * torch.hann_window(SIZE[1])
    rows, columns = torch.fft.fftfreq(SIZE[0])[:, None], torch.fft.fftfreq(SIZE[1])
    fine = torch.hypot(rows.expand(SIZE), columns.expand(SIZE)) > 0.25

    def energy(image: Tensor) -> Tensor:
        return torch.fft.fft2(image.float().mean(0) * window).abs().square()[fine].sum()

    ratios = []
    for variant in range(8):
        pair = render((5, 5, variant), texture, [texture], SIZE, CLEAN, preset(misalignment), "leaves")
        ratios.append(float((energy(pair.sharp) / energy(pair.extras["aligned"])).log()))
    assert np.exp(np.mean(ratios)) == pytest.approx(1, abs=0.06)
