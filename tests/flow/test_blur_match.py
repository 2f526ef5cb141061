"""Motion and difference in blur, found together, on photographs blurred and moved by SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform, gaussian_filter
from torch import Tensor

from jdrl_lightning.flow.affine import affine_field, invert_affine
from jdrl_lightning.flow.blur_match import in_order_of_sharpness, match_blur, register
from jdrl_lightning.flow.filters import gradient, mean_over, robust_weight, smooth
from jdrl_lightning.flow.gauss_newton import affine_motion, grey, pyramid
from jdrl_lightning.flow.warp import warp

SIZE, MARGIN = 160, 24
# Zoom and shear at the edges, and shift, pixels over coordinates from -1 to 1.
MOTION = torch.tensor([[[1.2, -0.4, 0.8], [0.6, 0.9, -0.5]]])


def picture(array: np.ndarray) -> Tensor:
    inner = slice(MARGIN, MARGIN + SIZE)
    return torch.from_numpy(np.ascontiguousarray(array[inner, inner])).float()[None, None]


@pytest.fixture(scope="module")
def scene(photo: Tensor) -> np.ndarray:
    """Grey, a little smooth, with a margin."""
    side = SIZE + 2 * MARGIN
    return gaussian_filter(photo[:, 150 : 150 + side, 100 : 100 + side].double().mean(0).numpy() / 255, 1.5)


def moved(scene: np.ndarray, parameters: Tensor) -> np.ndarray:
    """``result[p + u(p)] = scene[p]``."""
    half, middle = (SIZE - 1) / 2, MARGIN + (SIZE - 1) / 2
    a = parameters[0].double().numpy()
    forward = np.eye(2) + a[:, :2] / half  # of (x, y)
    back = np.linalg.inv(forward)[::-1, ::-1]  # of (y, x), as SciPy has it
    shift = a[::-1, 2]
    return affine_transform(scene, back, offset=middle - back @ (middle + shift), order=5)


@pytest.mark.parametrize("sigma", [0.0, 2.0, 4.0])
def test_motion_is_found_whatever_the_blur(scene: np.ndarray, sigma: float) -> None:
    sharper, softer = picture(scene), picture(gaussian_filter(moved(scene, MOTION), sigma))
    found, shares = register(sharper, 0.9 * softer + 0.05, torch.zeros(1, 2, 3), steps=8)
    error = affine_field(found - MOTION, sharper).norm(dim=1)
    assert error.max() < (0.05 if sigma < 4 else 0.2)  # the prior holds back where there is little to go by
    assert shares.shape == (1, 4, 3)


def test_the_shares_reproduce_the_blur(scene: np.ndarray) -> None:
    sharper, softer = picture(scene), picture(gaussian_filter(scene, 3.0))
    _, shares = register(sharper, softer, torch.zeros(1, 2, 3))
    # A blur by one of the widths on offer: the image goes (-1), and its blur of 3 px comes (+1), all over the frame.
    constant = shares[0, :, 2]
    torch.testing.assert_close(constant, torch.tensor([-1.0, 0.0, 1.0, 0.0]), rtol=0, atol=0.15)


def test_equal_images_stay(scene: np.ndarray) -> None:
    image = picture(scene)
    found, shares = register(image, image, torch.zeros(1, 2, 3))
    assert found.abs().max() < 1e-4
    assert shares.abs().max() < 1e-3


@pytest.mark.parametrize("blurry_first", [True, False])
def test_matched_images_are_equally_blurry(scene: np.ndarray, blurry_first: bool) -> None:
    sharp, blurry = picture(scene), picture(gaussian_filter(moved(scene, MOTION), 3.0))
    images = (blurry, sharp) if blurry_first else (sharp, blurry)
    truth = invert_affine(MOTION, sharp) if blurry_first else MOTION  # warp(second, flow) = first
    ours, theirs = (pyramid(grey(image.expand(1, 3, SIZE, SIZE))) for image in images)
    found, first, second = match_blur(ours, theirs, affine_motion(ours, theirs))
    assert affine_field(found - truth, sharp).norm(dim=1).mean() < 0.05
    inner = (..., slice(12, -12), slice(12, -12))
    for level in range(2):
        assert first[level].shape == ours[level].shape
        flow = affine_field(truth / 2**level, first[level])
        before = (warp(theirs[level], flow) - ours[level])[inner].abs().mean()
        after = (warp(second[level], flow) - first[level])[inner].abs().mean()
        assert after < 0.25 * before
    # The blurrier image is what it was.
    assert torch.equal(*((first[0], ours[0]) if blurry_first else (second[0], theirs[0])))


def test_the_sharper_of_two_is_found_for_each_sample(scene: np.ndarray) -> None:
    sharp, blurry = picture(scene), picture(gaussian_filter(scene, 2.0))
    first, second = torch.cat([sharp, blurry, sharp]), torch.cat([blurry, sharp, sharp])
    sharper, softer, exchanged = in_order_of_sharpness(first, second)
    assert exchanged.flatten().tolist() == [False, True, False]
    assert torch.equal(sharper, sharp.expand(3, 1, SIZE, SIZE))
    assert torch.equal(softer, torch.cat([blurry, blurry, sharp]))


def test_inverse_of_an_affine_motion() -> None:
    like = torch.zeros(1, 1, 40, 61, dtype=torch.float64)
    there = 3 * MOTION.double()
    back = invert_affine(there, like)
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, n, dtype=torch.float64) for n in (40, 61)), indexing="ij")
    flow = affine_field(there, like)[0]
    landed = torch.stack([x + flow[0] / 30, y + flow[1] / 19.5, torch.ones_like(x)])
    returned = torch.einsum("ci,ihw->chw", back[0], landed)
    torch.testing.assert_close(returned, -flow, rtol=0, atol=1e-9)


def test_samples_of_a_batch_do_not_mix(scene: np.ndarray) -> None:
    sharp, blurry = picture(scene), picture(gaussian_filter(moved(scene, MOTION), 2.0))
    batched, _ = register(torch.cat([sharp, sharp.flip(3)]), torch.cat([blurry, sharp.flip(3)]), torch.zeros(2, 2, 3))
    single, _ = register(sharp, blurry, torch.zeros(1, 2, 3))
    torch.testing.assert_close(batched[:1], single, rtol=0, atol=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_smooth_is_scipys_gaussian(scene: np.ndarray, sigma: float) -> None:
    image = torch.from_numpy(scene)[None, None]
    expected = gaussian_filter(scene, sigma, mode="nearest", radius=max(1, int(np.ceil(3 * sigma))))
    np.testing.assert_allclose(smooth(image, sigma)[0, 0].numpy(), expected, rtol=0, atol=1e-12)
    assert smooth(image, 0) is image


def test_gradient_is_numpys_in_the_interior(scene: np.ndarray) -> None:
    found = gradient(torch.from_numpy(scene)[None, None])[0, :, 1:-1, 1:-1].numpy()
    dy, dx = np.gradient(scene)
    np.testing.assert_allclose(found, np.stack([dx, dy])[:, 1:-1, 1:-1], rtol=0, atol=1e-12)


def test_weights_of_residuals() -> None:
    residual = torch.tensor([0.0, 1.0, 1.0, -1.0, 1.0, 50.0]).view(1, 1, 1, 6)
    valid = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 6)
    assert mean_over(residual, valid).item() == pytest.approx(0.4)
    weight = robust_weight(residual, valid).flatten()  # s = 1.25 · 0.8 = 1
    torch.testing.assert_close(weight, torch.tensor([1.0, 0.64, 0.64, 0.64, 0.64, 0.0]))
