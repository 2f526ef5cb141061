from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
import torch
import torchvision
from scipy.ndimage import shift as scipy_shift

from jdrl_lightning.errors import UserError
from jdrl_lightning.metrics import mae, psnr, ssim
from jdrl_lightning.metrics.placement import placement_error
from jdrl_lightning.metrics.protocols import Protocol, crop, deformed, measure, moved
from jdrl_lightning.types import Pair


class ConstantFlow:
    """An estimator that knows the answer: everything moved by (dx, dy)."""

    uses_truth = False

    def __init__(self, dx: float, dy: float) -> None:
        self.shift = torch.tensor([dx, dy])

    def __call__(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return self.shift.to(first.dtype).view(1, 2, 1, 1).expand(len(first), 2, *first.shape[-2:])


@pytest.fixture
def pair() -> Pair:
    """A photograph, the same displaced (what stood at column x stands at x - 2), and a blurred version in place."""
    aligned = torch.from_numpy(skimage.data.astronaut()[:96, 150:278].copy()).permute(2, 0, 1)[None].float() / 255
    sharp = torch.roll(aligned, (0, -2), (-2, -1))
    blurry = torch.nn.functional.avg_pool2d(aligned, 5, 1, 2, count_include_pad=False)
    return Pair(blurry, sharp, ["astronaut"], {"aligned": aligned})


@pytest.mark.parametrize(
    ("rule", "rows", "columns"),
    [
        ("none", (0, 45), (0, 59)),
        ("top_left_16", (0, 32), (0, 48)),
        ("top_left_8", (0, 40), (0, 56)),
        ("center_8", (2, 42), (1, 57)),
    ],
)
def test_crop(rule: str, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 45, 59)
    assert torch.equal(crop(image, rule), image[..., slice(*rows), slice(*columns)])


def test_wrong_crops_are_refused() -> None:
    with pytest.raises(ValueError, match="'middle'"):
        crop(torch.rand(3, 20, 20), "middle")
    with pytest.raises(ValueError, match="leaves nothing"):
        crop(torch.rand(3, 15, 20), "top_left_16")


def test_deformed_moves_the_sharp_image_onto_the_restored(pair: Pair) -> None:
    aligned = pair.extras["aligned"]
    moved = deformed(pair.sharp, aligned, ConstantFlow(-2, 0))
    torch.testing.assert_close(moved[..., 4:-4], aligned[..., 4:-4], rtol=0, atol=1e-4)


def test_deformed_by_half_a_pixel_equals_scipy(pair: Pair) -> None:
    """Bilinear sampling between two columns is their mean; bicubic keeps more of the contrast, inside [0, 1]."""
    image = pair.sharp
    expected = scipy_shift(image.numpy(), (0, 0, 0, -0.5), order=1, mode="nearest")
    bilinear = deformed(image, image, ConstantFlow(0.5, 0), "bilinear")
    torch.testing.assert_close(bilinear, torch.from_numpy(expected), rtol=0, atol=1e-4)
    bicubic = deformed(image, image, ConstantFlow(0.5, 0))
    assert bicubic.std() > bilinear.std()
    assert bicubic.min() >= 0
    assert bicubic.max() <= 1


def test_legacy_grid_is_the_published_half_pixel(pair: Pair) -> None:
    """A zero flow is the identity, but not on the published grid: -0.5 px at the left, +0.5 px at the right."""
    image = pair.sharp
    still = ConstantFlow(0, 0)
    torch.testing.assert_close(deformed(image, image, still), image, rtol=0, atol=1e-4)
    legacy = deformed(image, image, still, "legacy")
    assert psnr(legacy, image).item() < 40


def test_measure_uses_every_reference_there_is(pair: Pair) -> None:
    restored = pair.blurry
    values = measure(restored, pair, ConstantFlow(-2, 0))
    references = {
        "gt": pair.sharp,
        "deformed_gt": deformed(pair.sharp, restored, ConstantFlow(-2, 0)),
        "aligned": pair.extras["aligned"],
    }
    for name, reference in references.items():
        for metric in (psnr, ssim, mae):
            torch.testing.assert_close(values.pop(f"{name}/{metric.__name__}"), metric(restored, reference))
    assert set(values) == {"placement/rms", "placement/p95", "placement/dx", "placement/dy"}
    assert all(value.shape == (1,) for value in values.values())
    assert measure(restored, pair)["aligned/psnr"] > measure(restored, pair)["gt/psnr"] + 2


def test_placement_is_measured_against_the_truth_else_the_blurry_image(pair: Pair) -> None:
    moved = torch.roll(pair.extras["aligned"], 1, -1)
    for known, reference in ((pair, pair.extras["aligned"]), (pair._replace(extras={}), pair.blurry)):
        values, expected = measure(moved, known), placement_error(moved, reference)
        torch.testing.assert_close(values["placement/dx"], expected.mean[:, 0])
        torch.testing.assert_close(values["placement/dy"], expected.mean[:, 1])
        torch.testing.assert_close(values["placement/rms"], expected.rms)
        torch.testing.assert_close(values["placement/p95"], expected.p95)


def test_without_estimator_and_truth_only_gt_is_left(pair: Pair) -> None:
    bare = pair._replace(extras={})
    truthful = ConstantFlow(0, 0)
    truthful.uses_truth = True
    for estimator in (None, truthful):
        references = {name.split("/")[0] for name in measure(pair.blurry, bare, estimator)}
        assert references == {"gt", "placement"}


def test_restored_is_clamped_and_has_no_gradient(pair: Pair) -> None:
    wild = (3 * pair.blurry - 1).requires_grad_()
    values = measure(wild, pair)
    torch.testing.assert_close(values["gt/psnr"], psnr(wild.detach().clamp(0, 1), pair.sharp))
    assert not any(value.requires_grad for value in values.values())


def test_lpips_is_measured_where_its_weights_are_given(pair: Pair, tmp_path: Path) -> None:
    trunk = torchvision.models.AlexNet().features.state_dict()
    torch.save({f"features.{key}": value for key, value in trunk.items()}, tmp_path / "trunk.pth")
    values = measure(pair.blurry, pair, lpips_weights=tmp_path / "trunk.pth")
    assert {"gt/lpips", "aligned/lpips"} <= set(values)
    assert values["aligned/lpips"] != values["gt/lpips"]


def test_the_protocol_decides_how_is_measured(pair: Pair) -> None:
    restored, flow = pair.blurry, ConstantFlow(-1.5, 0)
    values = measure(restored, pair, flow, protocol=Protocol(warp="legacy", ssim="gaussian", round=True))
    rounded = torch.from_numpy((255 * restored.numpy()).round()) / 255
    assert not torch.equal(rounded, restored)
    legacy = deformed(pair.sharp, rounded, flow, "legacy")
    torch.testing.assert_close(values["deformed_gt/psnr"], psnr(rounded, legacy))
    torch.testing.assert_close(values["gt/ssim"], ssim(rounded, pair.sharp, "gaussian"))
    assert values["gt/psnr"] != measure(restored, pair, flow)["gt/psnr"]


def test_the_legacy_warp_is_grid_samples_default_on_corner_coordinates(pair: Pair) -> None:
    """What the published code does: a grid of aligned corners, sampled as if corners were not aligned."""
    height, width = pair.sharp.shape[-2:]
    x, y = torch.linspace(-1, 1, width) + 2 * 3 / (width - 1), torch.linspace(-1, 1, height)
    grid = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], dim=-1)[None]
    expected = torch.nn.functional.grid_sample(pair.sharp, grid, padding_mode="border", align_corners=False)
    found = deformed(pair.sharp, pair.sharp, ConstantFlow(3, 0), "legacy")
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [{"crop": "half"}, {"warp": "nearest"}, {"ssim": "box"}, {"round": 8}, {"crop": None}, {"warp": ["legacy"]}],
)
def test_unknown_settings_are_refused(wrong: dict[str, object]) -> None:
    (key,) = wrong
    with pytest.raises(UserError, match=f"^{key}=") as error:
        Protocol(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_an_image_is_in_place_with_itself(pair: Pair) -> None:
    assert all(not value.any() for value in moved(pair.blurry, pair.blurry.clone()).values())
    assert moved(pair.blurry, pair.sharp)["placement/rms"] > 1
