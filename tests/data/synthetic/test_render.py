"""One frame: its truth is true, its blur is the circle of confusion's, and cutting corners changed nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.data.srgb import linear
from jdrl_lightning.data.synthetic import defocus, displace
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.data.synthetic.misalignment import Displacement, invert_at, preset
from jdrl_lightning.data.synthetic.regions import Box, coordinates, cut
from jdrl_lightning.data.synthetic.render import MARGIN_PX, MASTER, Optics, _blend, _to_frame, render
from jdrl_lightning.data.synthetic.scene import Layer, Plane, draw_scene
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.gauss_newton import smooth
from jdrl_lightning.flow.warp import in_frame, warp
from jdrl_lightning.types import Pair, to_float

FRAMES = range(8)
QUIET = Optics(read_noise=0, shot_noise=0, gain=0, white_balance=0)


def psnr(first: Tensor, second: Tensor, where: Tensor | None = None) -> float:
    error = (to_float(first) - to_float(second)).square().mean(0, keepdim=True)
    kept = error if where is None else error[where]
    return float(-10 * kept.mean().log10())


@pytest.fixture(scope="module")
def frames(photo: Tensor) -> dict[str, list[Pair]]:
    """Eight frames of 112×128 px under every misalignment."""
    master = linear(smooth(to_float(photo)[None], 0.6)[0])
    others = [master, master.flip(1)]
    return {
        name: [render((0, 0, n), master, others, (112, 128), Optics(), preset(name), f"{n}") for n in FRAMES]
        for name in ("none", "random", "biased", "nonrigid")
    }


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


def test_without_misalignment_sharp_is_aligned_but_for_noise(frames: dict[str, list[Pair]]) -> None:
    for pair in frames["none"]:
        assert pair.extras["flow"].abs().max() == 0
        assert not torch.equal(pair.sharp, pair.extras["aligned"])
        assert psnr(pair.sharp, pair.extras["aligned"]) > 45


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid"])
def test_the_flow_lays_sharp_onto_aligned(frames: dict[str, list[Pair]], name: str) -> None:
    for pair in frames[name]:
        flow, aligned = pair.extras["flow"], pair.extras["aligned"]
        warped = warp(to_float(pair.sharp)[None], flow[None], mode="bicubic")[0].clamp(0, 1)
        jump = torch.zeros(1, *flow.shape[1:])
        jump[:, 1:] = flow.diff(dim=1).abs().amax(0)
        jump[:, :, 1:] = jump[:, :, 1:].maximum(flow.diff(dim=2).abs().amax(0))
        near_edge = F.max_pool2d((jump > 0.1).float()[None], 13, 1, 6)[0]
        kept = (in_frame(flow[None])[0] > 0) & (near_edge == 0)
        assert kept.float().mean() > 0.4
        assert psnr(warped, aligned, kept) > 30
        assert psnr(warped, aligned, kept) > psnr(pair.sharp, aligned, kept) + 8


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid"])
def test_the_displaced_shot_is_not_softer(frames: dict[str, list[Pair]], name: str) -> None:
    def detail(image: Tensor) -> Tensor:
        return to_float(image)[..., 12:-12, 12:-12].diff(dim=2).square().mean()

    ratios = [float(detail(pair.sharp) / detail(pair.extras["aligned"])) for pair in frames[name]]
    assert 0.95 < np.mean(ratios) < 1.05


def test_the_circle_of_confusion_lies_in_its_range(frames: dict[str, list[Pair]]) -> None:
    coc = torch.stack([pair.extras["coc"] for pair in frames["none"]])
    assert coc.min() >= 0
    assert 3 < coc.max() <= Optics().blur_px


def test_blur_follows_the_circle_of_confusion(photo: Tensor) -> None:
    """Fine detail is lost where it is large; where it is next to none the shots are the same."""
    master = linear(smooth(to_float(photo)[None], 0.6)[0])
    pairs = [render((1, n), master, [master], (112, 128), QUIET, preset("none"), "") for n in range(12)]

    def fine(image: Tensor) -> Tensor:
        image = to_float(image)[None]
        return (image - smooth(image, 1.0))[0].square().mean(0, keepdim=True)

    blurry = torch.cat([fine(pair.blurry) for pair in pairs])
    aligned = torch.cat([fine(pair.extras["aligned"]) for pair in pairs])
    changes = [(to_float(pair.blurry) - to_float(pair.extras["aligned"])).abs() for pair in pairs]
    change = torch.cat([difference.amax(0, keepdim=True) for difference in changes])
    # A pixel of small radius beside one of large radius is covered by the blur of that one.
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
    master = linear(to_float(photo))
    pair = render((0,), master, [master], (64, 64), Optics(0, 0, 0, 0, 0), preset("none"), "")
    assert torch.equal(pair.blurry, pair.sharp)
    assert torch.equal(pair.sharp, pair.extras["aligned"])
    assert pair.extras["coc"].max() == 0


def test_exposure_differs_between_the_shots(photo: Tensor) -> None:
    args = linear(to_float(photo)), [linear(to_float(photo))], (64, 64)
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


def scene(number: int) -> list[Layer]:
    photo = torch.rand(3, 200, 220, generator=torch.Generator().manual_seed(number))
    return draw_scene(np.random.default_rng(number), photo, [photo], CANVAS, MASTER)


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

    layers = scene(number)
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
        layers = scene(number)
        blurry.append((defocus.defocused(layers, FRAME, MASTER, radius) - blurred_whole(layers)).abs())
        displacement = preset("nonrigid").draw(np.random.default_rng(number), 0.5, (48, 64))
        moved = displace.displaced(layers, FRAME, MARGIN_PX * MASTER, MASTER, displacement)
        sharp.append((moved - displaced_whole(layers, displacement)).abs())
    for errors, mean, most in ((torch.stack(blurry), 1e-3, 0.04), (torch.stack(sharp), 6e-3, 0.06)):
        assert errors.mean() < mean
        assert errors.max() < most


def test_a_layer_out_of_reach_leaves_no_trace() -> None:
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
