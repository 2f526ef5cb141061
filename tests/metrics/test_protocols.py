from __future__ import annotations

import pytest
import torch
from scipy.ndimage import shift as scipy_shift

from jdrl_lightning.errors import UserError
from jdrl_lightning.metrics import psnr
from jdrl_lightning.metrics.protocols import Protocol, crop, deformed
from jdrl_lightning.types import Pair
from metrics.displaced import ConstantFlow, displaced_pair


@pytest.fixture
def pair() -> Pair:
    return displaced_pair()


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
