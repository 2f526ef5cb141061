"""Known displacements of photographs, by Fourier shift and by spline: read to hundredths of a pixel, blur or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import fourier_shift, gaussian_filter, map_coordinates
from scipy.signal import fftconvolve
from skimage import color, data
from torch import Tensor

from jdrl_lightning.metrics.placement import placement_error

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "camera", "gravel")
SIZE, MARGIN = 160, 40


def region(name: str) -> np.ndarray:
    """The middle of a photograph and a margin for what moves in and for blur, ``(240, 240, 3)`` in [0, 1]."""
    image = getattr(data, name)() / 255.0
    image = color.gray2rgb(image) if image.ndim == 2 else image
    top, left = ((side - SIZE) // 2 - MARGIN for side in image.shape[:2])
    return image[top : top + SIZE + 2 * MARGIN, left : left + SIZE + 2 * MARGIN]


def moved(image: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """``result[p] = image[p + (dx, dy)]``, exactly so for the sampled image continued periodically."""
    return np.stack([np.fft.ifft2(fourier_shift(np.fft.fft2(image[..., c]), (-dy, -dx))).real for c in range(3)], -1)


def boxes(image: np.ndarray) -> np.ndarray:
    """Two 7×7 means."""
    kernel = np.full((7, 7, 1), 1 / 49)
    return fftconvolve(fftconvolve(image, kernel, mode="same", axes=(0, 1)), kernel, mode="same", axes=(0, 1))


def disc(image: np.ndarray) -> np.ndarray:
    """Defocus of radius 6 px."""
    y, x = np.mgrid[-7:8, -7:8]
    kernel = np.clip(6.5 - np.hypot(x, y), 0, 1)[..., None]
    return fftconvolve(image, kernel / kernel.sum(), mode="same", axes=(0, 1))


def soft(image: np.ndarray) -> np.ndarray:
    return gaussian_filter(image, (1.5, 1.5, 0))


def batch(images: list[np.ndarray]) -> Tensor:
    """The middles, clipped, ``(B, 3, 160, 160)``."""
    inner = slice(MARGIN, MARGIN + SIZE)
    return torch.stack([torch.from_numpy(i[inner, inner].clip(0, 1)).permute(2, 0, 1).float() for i in images])


REGIONS = [region(name) for name in PHOTOS]
SHARP = batch(REGIONS)


def distance(found: Tensor, dx: float, dy: float) -> Tensor:
    return (found - torch.tensor([dx, dy])).norm(dim=1)


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.1, 0), (0, -0.1), (0.25, 0), (-0.5, 0.25), (1, 0), (0.5, -1)])
def test_shifts_of_sharp_photographs(dx: float, dy: float) -> None:
    found = placement_error(batch([moved(image, dx, dy) for image in REGIONS]), SHARP)
    errors = distance(found.mean, dx, dy)
    assert errors.mean() < 0.02
    assert errors.max() < 0.03
    length = float(np.hypot(dx, dy))
    torch.testing.assert_close(found.rms, torch.full((6,), length), rtol=0, atol=0.04)
    torch.testing.assert_close(found.p95, torch.full((6,), length), rtol=0, atol=0.08)


def test_pictures_of_more_than_a_megapixel() -> None:
    picture = data.retina() / 255.0  # 1411×1411
    shots = [np.ascontiguousarray(image[8:-8, 8:-8].clip(0, 1)) for image in (moved(picture, 0.5, -0.25), picture)]
    restored, reference = (torch.from_numpy(image).permute(2, 0, 1)[None].float() for image in shots)
    assert distance(placement_error(restored, reference).mean, 0.5, -0.25) < 0.03


def test_sign_is_that_of_the_reference() -> None:
    """``reference[p + mean] ≈ restored[p]``: what lies a column further left in the restored image has dx = +1."""
    restored = SHARP.roll(-1, dims=3)
    found = placement_error(restored, SHARP)
    assert distance(found.mean, 1, 0).max() < 0.05
    assert distance(placement_error(SHARP, restored).mean, -1, 0).max() < 0.05
    assert distance(placement_error(SHARP.roll(2, dims=2), SHARP).mean, 0, -2).max() < 0.1


@pytest.mark.parametrize("dx", [0.0, 0.5])
@pytest.mark.parametrize("blur", [soft, disc, boxes])
@pytest.mark.parametrize("side", ["reference", "restored"])
def test_symmetric_blur_is_not_motion(dx: float, blur, side: str) -> None:  # type: ignore[no-untyped-def]
    sharp, shifted = REGIONS, [moved(image, dx, 0) for image in REGIONS]
    pictures = (shifted, [blur(i) for i in sharp]) if side == "reference" else ([blur(i) for i in shifted], sharp)
    found = placement_error(*(batch(picture) for picture in pictures))
    errors = distance(found.mean, dx, 0)
    assert errors.mean() < 0.015
    assert errors.max() < 0.04
    assert (found.rms - dx).abs().max() < 0.2


def test_a_restored_image_between_blurry_and_sharp() -> None:
    """As in use: the output, still soft and noisy and a little brighter, against the blurry input."""
    noise = 2 / 255 * np.random.default_rng(0).standard_normal((2, *REGIONS[0].shape))
    restored = batch([1.04 * soft(moved(image, 0.3, 0.2)) + 0.01 + noise[0] for image in REGIONS])
    found = placement_error(restored, batch([disc(image) + noise[1] for image in REGIONS]))
    assert distance(found.mean, 0.3, 0.2).mean() < 0.02


def test_a_zoom_has_no_mean_but_length() -> None:
    zoom, middle = 0.02, MARGIN + (SIZE - 1) / 2
    y, x = (axis * (1 + zoom) - zoom * middle for axis in np.mgrid[: SIZE + 2 * MARGIN, : SIZE + 2 * MARGIN])
    zoomed = [np.stack([map_coordinates(i[..., c], [y, x], order=3) for c in range(3)], -1) for i in REGIONS]
    found = placement_error(batch(zoomed), SHARP)
    # The second moment of a side of length a is a²/12 on each axis; the 95th percentile of the distance by counting.
    assert distance(found.mean, 0, 0).max() < 0.03
    torch.testing.assert_close(found.rms, torch.full((6,), zoom * SIZE / 6**0.5), rtol=0.03, atol=0)
    axis = np.arange(SIZE) - (SIZE - 1) / 2
    expected = zoom * np.quantile(np.hypot(axis[:, None], axis), 0.95)
    torch.testing.assert_close(found.p95, torch.full((6,), float(expected)), rtol=0.03, atol=0)


def test_brightness_does_not_count() -> None:
    found = placement_error(0.9 * SHARP + 0.03, SHARP)
    assert found.rms.max() < 0.01


@pytest.mark.parametrize("dx", [0.0, 0.5])
def test_a_slow_change_of_tone_is_not_motion(dx: float) -> None:
    """A network may darken a sky towards its top; where the sky itself is smooth, that looks like a shift of pixels."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    shifted = batch([moved(image, dx, 0) for image in REGIONS])
    errors = []
    for tone in (0.08 * y, 0.06 * (x + y.square()), 0.05 * torch.sin(3 * x) * y):
        found = placement_error((shifted + tone).clamp(0, 1), SHARP)
        errors.append(distance(found.mean, dx, 0))
        assert (found.rms - dx).abs().max() < 0.2
    assert torch.stack(errors).mean() < 0.02
    assert torch.stack(errors).max() < 0.1


def test_a_corner_of_texture_does_not_stretch_the_rest() -> None:
    """Rocket before a sky: the frame's larger part is smooth and noisy, and the blur is all in one corner."""
    y, x = np.mgrid[: SIZE + 2 * MARGIN, : SIZE + 2 * MARGIN]
    corner = (1 / (1 + np.exp((np.hypot(x - 60, y - 180) - 50) / 4)))[..., None]
    sky = [image.mean((0, 1)) + 0.1 * (y / SIZE)[..., None] for image in REGIONS]
    scenes = [corner * image + (1 - corner) * s for image, s in zip(REGIONS, sky, strict=True)]
    noise = 1 / 255 * np.random.default_rng(0).standard_normal((2, *REGIONS[0].shape))
    found = placement_error(batch([disc(i) + noise[0] for i in scenes]), batch([i + noise[1] for i in scenes]))
    assert found.rms.mean() < 0.1
    assert found.rms.max() < 0.2


def test_a_few_pixels_that_are_wrong_do_not_count() -> None:
    disturbed = SHARP.clone()
    disturbed[..., 60:76, 60:76] = SHARP[..., 90:106, 64:80]
    assert placement_error(disturbed, SHARP).rms.max() < 0.05


def test_each_sample_for_itself() -> None:
    restored = SHARP[:3].clone()
    restored[1] = torch.from_numpy(disc(REGIONS[1])[MARGIN:-MARGIN, MARGIN:-MARGIN]).permute(2, 0, 1)
    restored[2] = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    batched = placement_error(restored, SHARP[:3])
    for i in range(2):
        single = placement_error(restored[i : i + 1], SHARP[i : i + 1])
        torch.testing.assert_close(batched.mean[i : i + 1], single.mean, rtol=0, atol=2e-3)
        torch.testing.assert_close(batched.rms[i : i + 1], single.rms, rtol=0, atol=2e-3)


@pytest.mark.parametrize("size", [(160, 160), (33, 47), (16, 16), (5, 90), (1, 1)])
def test_finite_on_whatever_an_untrained_network_returns(size: tuple[int, int]) -> None:
    image = SHARP[:1, :, : size[0], : size[1]]
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    for restored in (
        noise,
        torch.full_like(image, 0.5),
        torch.zeros_like(image),
        image,
        image.double(),
        image.bfloat16(),
    ):
        for reference in (image, torch.zeros_like(image)):
            found = placement_error(restored, reference.to(restored.dtype))
            assert [value.shape for value in found] == [(1, 2), (1,), (1,)]
            assert all(value.isfinite().all() and value.dtype == torch.float32 for value in found)
    assert placement_error(image, image).rms < 1e-3


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        placement_error(SHARP, SHARP[..., :100])
    with pytest.raises(ValueError, match="differ in shape"):
        placement_error(SHARP[0], SHARP[0])


def test_no_gradient() -> None:
    assert not placement_error(SHARP[:1].clone().requires_grad_(), SHARP[:1]).rms.requires_grad
