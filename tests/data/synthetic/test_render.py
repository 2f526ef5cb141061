"""One rendered frame: exact flow, aligned images, blur by the circle of confusion, conserved light."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_linear_rgb
from skimage.registration import phase_cross_correlation
from torch import Tensor

from data.synthetic.scenes import scene
from jdrl_lightning.data.synthetic import defocus, displace
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.data.synthetic.misalignment import Displacement, invert_at, preset
from jdrl_lightning.data.synthetic.photographs import from_scikit_image
from jdrl_lightning.data.synthetic.regions import Box, coordinates, cut
from jdrl_lightning.data.synthetic.render import MARGIN_PX, MASTER, Optics, _blend, _to_frame, render
from jdrl_lightning.data.synthetic.scene import Layer, Plane
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.gauss_newton import smooth
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.types import Pair, to_float

SIZE = (112, 128)
FRAMES = range(8)
QUIET = Optics(read_noise=0, shot_noise=0, gain=0, white_balance=0)


def psnr(first: Tensor, second: Tensor, where: Tensor | None = None) -> float:
    error = (to_float(first) - to_float(second)).square().mean(0, keepdim=True)
    kept = error if where is None else error[where]
    return float(-10 * kept.mean().log10())


@pytest.fixture(scope="module")
def frames(photo: Tensor) -> dict[str, list[Pair]]:
    """Eight frames of 112×128 px under every misalignment."""
    master = rgb_to_linear_rgb(smooth(to_float(photo)[None], 0.6)[0])
    others = [master, master.flip(1)]
    return {
        name: [render((0, 0, n), master, others, (112, 128), Optics(), preset(name), f"{n}") for n in FRAMES]
        for name in ("none", "random", "biased", "nonrigid")
    }


@cache
def photographs() -> tuple[Tensor, ...]:
    shipped = [p for p in from_scikit_image("train") if p.name in ("astronaut", "hubble_deep_field", "gravel")]
    return tuple(rgb_to_linear_rgb(smooth(p.load()[None, :, :480, :480], 0.6)[0]) for p in shipped)


def rendered(variant: int, misalignment: str = "nonrigid", optics: Optics = QUIET, amplitude: float = 1.0) -> Pair:
    return _rendered(variant, misalignment, optics, amplitude)


@cache
def _rendered(variant: int, misalignment: str, optics: Optics, amplitude: float) -> Pair:
    images = photographs()
    key, photo = (0, 1, variant), images[variant % len(images)]
    return render(key, photo, images, SIZE, optics, preset(misalignment, amplitude), f"frame_{variant}")


def away_from_edges(pair: Pair) -> Tensor:
    """True where no surface's edge, and so nothing hidden in one shot only, is nearby: ``(1, H, W)``.

    The circle of confusion distinguishes surfaces whose flows happen to be alike.
    """
    fields = torch.cat([pair.extras["flow"] / 0.3, pair.extras["coc"] / 0.05])
    down, across = (F.pad(fields.diff(dim=dim).abs(), pad) for dim, pad in ((1, (0, 0, 1, 0)), (2, (1, 0))))
    step = torch.maximum(down, across).amax(0, keepdim=True) > 1
    near = F.max_pool2d(step[None].float(), 21, 1, 10)[0]
    return (near == 0) & (in_frame(pair.extras["flow"][None])[0] > 0)


def test_shapes_types_and_keys(frames: dict[str, list[Pair]]) -> None:
    pair = frames["nonrigid"][3]
    assert pair.name == "3"
    assert list(pair.extras) == ["aligned", "flow", "coc"]
    for image in (pair.blurry, pair.sharp, pair.extras["aligned"]):
        assert (image.shape, image.dtype) == ((3, 112, 128), torch.uint8)
    assert (pair.extras["flow"].shape, pair.extras["flow"].dtype) == ((2, 112, 128), torch.float32)
    assert (pair.extras["coc"].shape, pair.extras["coc"].dtype) == ((1, 112, 128), torch.float32)


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid"])
def test_misalignment_changes_the_sharp_shot_only(frames: dict[str, list[Pair]], name: str) -> None:
    for still, moved in zip(frames["none"], frames[name], strict=True):
        assert torch.equal(still.blurry, moved.blurry)
        assert torch.equal(still.extras["aligned"], moved.extras["aligned"])
        assert torch.equal(still.extras["coc"], moved.extras["coc"])
        assert psnr(moved.sharp, moved.extras["aligned"]) < 30


def test_without_misalignment_sharp_is_aligned_except_for_noise(frames: dict[str, list[Pair]]) -> None:
    for pair in frames["none"]:
        assert pair.extras["flow"].abs().max() == 0
        assert not torch.equal(pair.sharp, pair.extras["aligned"])
        assert psnr(pair.sharp, pair.extras["aligned"]) > 45


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid"])
def test_the_displaced_shot_is_not_softer(frames: dict[str, list[Pair]], name: str) -> None:
    def detail(image: Tensor) -> Tensor:
        return to_float(image)[..., 12:-12, 12:-12].diff(dim=2).square().mean()

    ratios = [float(detail(pair.sharp) / detail(pair.extras["aligned"])) for pair in frames[name]]
    assert 0.95 < np.mean(ratios) < 1.05


def test_blur_follows_the_circle_of_confusion(photo: Tensor) -> None:
    """Fine detail is lost where it is large; where it is next to none the shots are the same."""
    master = rgb_to_linear_rgb(smooth(to_float(photo)[None], 0.6)[0])
    pairs = [render((1, n), master, [master], (112, 128), QUIET, preset("none"), "") for n in range(12)]

    def fine(image: Tensor) -> Tensor:
        image = to_float(image)[None]
        return (image - smooth(image, 1.0))[0].square().mean(0, keepdim=True)

    blurry = torch.cat([fine(pair.blurry) for pair in pairs])
    aligned = torch.cat([fine(pair.extras["aligned"]) for pair in pairs])
    changes = [(to_float(pair.blurry) - to_float(pair.extras["aligned"])).abs() for pair in pairs]
    change = torch.cat([difference.amax(0, keepdim=True) for difference in changes])
    # A pixel of small radius next to one of large radius is covered by the blur of that one.
    coc = torch.cat([F.max_pool2d(pair.extras["coc"], 15, 1, 7) for pair in pairs])
    shares = []
    for least, most in ((0.0, 0.3), (1.0, 2.0), (3.0, 7.0)):
        region = (coc >= least) & (coc < most)
        assert region.sum() > 500
        shares.append(float(blurry[region].sum() / aligned[region].sum()))
    assert shares[0] > 0.8
    assert shares[0] > 2 * shares[1] > 4 * shares[2]
    assert change[coc < 0.3].mean() < 0.02
    assert change[coc > 3].mean() > 2 * change[coc < 0.3].mean()


def test_in_focus_or_without_aperture_both_shots_are_equal(photo: Tensor) -> None:
    master = rgb_to_linear_rgb(to_float(photo))
    pair = render((0,), master, [master], (64, 64), Optics(0, 0, 0, 0, 0), preset("none"), "")
    assert torch.equal(pair.blurry, pair.sharp)
    assert torch.equal(pair.sharp, pair.extras["aligned"])
    assert pair.extras["coc"].max() == 0


def test_exposure_differs_between_the_shots(photo: Tensor) -> None:
    args = rgb_to_linear_rgb(to_float(photo)), [rgb_to_linear_rgb(to_float(photo))], (64, 64)
    for n in range(3):
        quiet = render((n,), *args, QUIET, preset("none"), "")
        unlike = render((n,), *args, Optics(7, 0.2, 0, 0, 0), preset("none"), "")
        assert torch.equal(unlike.blurry, quiet.blurry)
        assert not torch.equal(unlike.sharp, quiet.sharp)
        assert torch.equal(unlike.sharp, unlike.extras["aligned"])


def test_a_blur_beyond_the_margin_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.blur_px=30"):
        Optics(blur_px=30)


FRAME = Box.centred(96, 128)
CANVAS = FRAME.grown(MARGIN_PX * MASTER)


def on_canvas(layer: Layer) -> Tensor:
    return cut(layer.rgba, layer.extent, CANVAS)


def radius(plane: Plane, x: Tensor, y: Tensor) -> Tensor:
    return (9 * (plane(x, y) - 0.3)).abs().clamp_max(7)


def blurred_whole(layers: list[Layer]) -> Tensor:
    """Every layer over the whole canvas at the master's resolution."""
    x, y = coordinates(CANVAS, MASTER)
    whole = [(blur_by_discs(on_canvas(layer), radius(layer.plane, x, y) * MASTER), CANVAS) for layer in layers]
    return _to_frame(_blend(FRAME, whole))


def displaced_whole(layers: list[Layer], displacement: Displacement) -> Tensor:
    x, y = coordinates(CANVAS, MASTER)
    whole = []
    for layer in layers:
        pull = invert_at(lambda px, py, plane=layer.plane: displacement(px, py, plane(px, py)), x, y)
        moved = warp(on_canvas(layer)[None], MASTER * pull[None], mode="bicubic")[0].clamp_min(0)
        whole.append((torch.cat([moved[:3], moved[3:].clamp_max(1)]), CANVAS))
    return _to_frame(_blend(FRAME, whole))


@pytest.mark.parametrize("number", range(12))
def test_only_what_reaches_the_frame_is_computed_and_nothing_else_is_lost(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Done at the master's resolution the frame is that of layers done over the whole canvas."""

    def fine(plane: Plane, x: Tensor, y: Tensor) -> Tensor:
        return MASTER * radius(plane, x / MASTER, y / MASTER)

    layers = scene(number, FRAME)
    blurry = _to_frame(defocus.defocused(layers, FRAME, 1, fine))
    torch.testing.assert_close(blurry, blurred_whole(layers), atol=1e-5, rtol=0)
    monkeypatch.setattr(displace, "EDGE", -1.0)
    displacement = preset("nonrigid").draw(np.random.default_rng(number), 0.5, (48, 64))
    sharp = displace.displaced(layers, FRAME, MARGIN_PX * MASTER, MASTER, displacement)
    torch.testing.assert_close(sharp, displaced_whole(layers, displacement), atol=2e-3, rtol=0)


def test_away_from_sharp_edges_the_frames_resolution_is_enough() -> None:
    """White noise in every layer is the worst there can be: blending and averaging change places nowhere so badly."""
    blurry, sharp = [], []
    for number in range(12):
        layers = scene(number, FRAME)
        blurry.append((defocus.defocused(layers, FRAME, MASTER, radius) - blurred_whole(layers)).abs())
        displacement = preset("nonrigid").draw(np.random.default_rng(number), 0.5, (48, 64))
        moved = displace.displaced(layers, FRAME, MARGIN_PX * MASTER, MASTER, displacement)
        sharp.append((moved - displaced_whole(layers, displacement)).abs())
    for errors, mean, most in ((torch.stack(blurry), 1e-3, 0.04), (torch.stack(sharp), 6e-3, 0.06)):
        assert errors.mean() < mean
        assert errors.max() < most


def test_a_layer_out_of_reach_has_no_effect() -> None:
    plane = Plane(0.5, (0.0, 0.0))
    ground = Layer(
        torch.ones(4, CANVAS.height, CANVAS.width) * torch.tensor([0.2, 0.3, 0.4, 1]).view(4, 1, 1), CANVAS, plane
    )
    corner = Box(CANVAS.top, CANVAS.left, CANVAS.top + 2, CANVAS.left + 2)
    layers = [ground, Layer(torch.ones(4, 2, 2), corner, plane)]
    displacement = preset("random").draw(np.random.default_rng(0), 0.5, (48, 64))
    for shot in (
        defocus.defocused(layers, FRAME, MASTER, lambda plane, x, y: torch.full_like(x, 2.0)),
        displace.displaced(layers, FRAME, MARGIN_PX * MASTER, MASTER, displacement),
    ):
        torch.testing.assert_close(shot, ground.rgba[:3, :48, :64], atol=1e-5, rtol=0)


@pytest.mark.parametrize("misalignment", ["random", "biased", "nonrigid"])
@pytest.mark.parametrize("variant", range(3))
def test_the_flow_aligns_the_sharp_shot(variant: int, misalignment: str) -> None:
    pair = rendered(variant, misalignment)
    flow, aligned = pair.extras["flow"], pair.extras["aligned"]
    warped = warp(to_float(pair.sharp)[None], flow[None], mode="bicubic")[0]
    mask = away_from_edges(pair)
    assert mask.float().mean() > 0.2
    assert psnr(warped, aligned, mask) > 34
    assert psnr(warped, aligned, mask) > psnr(pair.sharp, aligned, mask) + 10


def test_the_flow_is_exact_for_large_displacements() -> None:
    # One step of the inversion only would be a whole pixel off here.
    pair = rendered(1, "random", amplitude=4.0)
    flow = pair.extras["flow"]
    assert float(flow.norm(dim=0).mean()) > 8
    warped = warp(to_float(pair.sharp)[None], flow[None], mode="bicubic")[0]
    assert psnr(warped, pair.extras["aligned"], away_from_edges(pair)) > 34


def test_a_wrong_flow_does_not_align() -> None:
    pair = rendered(0)
    mask = away_from_edges(pair)
    for wrong in (-pair.extras["flow"], pair.extras["flow"].flip(0), pair.extras["flow"] + 0.5):
        warped = warp(to_float(pair.sharp)[None], wrong[None], mode="bicubic")[0]
        assert psnr(warped, pair.extras["aligned"], mask) < 33


def test_light_and_noise_do_not_change_the_geometry() -> None:
    plain, lit = rendered(2, "nonrigid", QUIET), rendered(2, "nonrigid", Optics(gain=0.1))
    assert torch.equal(plain.extras["flow"], lit.extras["flow"])
    assert torch.equal(plain.extras["coc"], lit.extras["coc"])
    assert not torch.equal(plain.sharp, lit.sharp)


def test_the_ground_truth_has_no_noise() -> None:
    clean, noisy = rendered(1), rendered(1, "nonrigid", Optics(gain=0, white_balance=0))
    assert torch.equal(clean.extras["aligned"], noisy.extras["aligned"])
    assert not torch.equal(clean.sharp, noisy.sharp)


def test_the_sharp_shot_has_half_the_noise_of_the_blurry_one() -> None:
    grey = rgb_to_linear_rgb(torch.full((3, 400, 400), 0.5))
    pair = render((0, 0, 0), grey, [grey], (128, 128), Optics(gain=0, white_balance=0), preset("none"), "grey")
    blurry, sharp = (float(image.float().std()) for image in (pair.blurry, pair.sharp))
    # Rounding to 8 bit adds a variance of 1/12 to each.
    assert (blurry**2 - 1 / 12) ** 0.5 == pytest.approx(2 * (sharp**2 - 1 / 12) ** 0.5, rel=0.15)


@pytest.mark.parametrize(("blur_px", "amplitude"), [(7.0, 1.0), (12.0, 1.0), (7.0, 6.0)])
def test_one_colour_stays_that_colour(blur_px: float, amplitude: float) -> None:
    grey = rgb_to_linear_rgb(torch.full((3, 300, 300), 128 / 255))
    for variant in range(4):
        optics = Optics(blur_px, 0, 0, 0, 0)
        pair = render((0, 0, variant), grey, [grey], (96, 96), optics, preset("nonrigid", amplitude), "grey")
        for image in (pair.blurry, pair.extras["aligned"]):
            assert (int(image.min()), int(image.max())) == (128, 128)
        # A displaced cut-out's light and coverage are interpolated separately: a few levels may show at its edge.
        assert 122 <= int(pair.sharp.min()) <= int(pair.sharp.max()) <= 134


def test_defocus_works_in_linear_light() -> None:
    photo = torch.zeros(3, 400, 400)
    photo[:, ::12, ::12] = 1  # far points of light: blurred in sRGB they would lose most of it
    for variant in range(3):
        pair = render((0, 0, variant), photo, [photo], SIZE, QUIET, preset("none"), "lights")
        sharp, blurry = (
            float(rgb_to_linear_rgb(image / 255).mean()) for image in (pair.extras["aligned"], pair.blurry)
        )
        assert blurry == pytest.approx(sharp, rel=0.08)


def test_the_blurry_image_is_aligned_with_the_aligned_one() -> None:
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
