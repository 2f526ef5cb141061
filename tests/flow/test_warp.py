"""Warping against kornia, a loop and known shifts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from kornia.geometry.transform import remap
from torch import Tensor

from jdrl_lightning.flow.warp import in_frame, invert, magnitude, warp


def constant(dx: float, dy: float, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor([dx, dy], dtype=dtype).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def smooth_flow(height: int, width: int, amplitude: float, dtype: torch.dtype = torch.float32) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height, dtype=dtype), torch.arange(width, dtype=dtype), indexing="ij")
    return amplitude * torch.stack([torch.sin(0.11 * y + 0.05 * x), torch.cos(0.07 * x - 0.04 * y)])[None]


def cubic(distance: float) -> float:
    """Keys' kernel with a = -1/2, as he prints it."""
    d = abs(distance)
    if d < 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def sampled_by_loop(image: np.ndarray, flow: np.ndarray, padding: str) -> np.ndarray:
    _, height, width = image.shape
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            px, py = x + flow[0, y, x], y + flow[1, y, x]
            for row in range(math.floor(py) - 1, math.floor(py) + 3):
                for column in range(math.floor(px) - 1, math.floor(px) + 3):
                    if padding == "zeros" and not (0 <= row < height and 0 <= column < width):
                        continue
                    value = image[:, min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
                    result[:, y, x] += cubic(py - row) * cubic(px - column) * value
    return result


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_bilinear_is_kornias_remap(padding: str) -> None:
    image, flow = random(2, 3, 20, 27), 4 * random(2, 2, 20, 27, seed=1) - 2
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(27.0), indexing="ij")
    expected = remap(image, x + flow[:, 0], y + flow[:, 1], padding_mode=padding, align_corners=True)
    torch.testing.assert_close(warp(image, flow, padding), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "grid_bicubic"])
@pytest.mark.parametrize(("height", "width"), [(256, 256), (17, 31), (1, 5), (5, 1), (1, 1)])
def test_no_flow_is_the_identity(mode: str, height: int, width: int) -> None:
    image = random(1, 2, height, width)
    for padding in ("border", "zeros"):
        torch.testing.assert_close(
            warp(image, constant(0, 0, height, width), padding, mode),
            image,
            rtol=0,
            atol=4e-5 if padding == "zeros" else 1e-5,
        )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_integer_flow_is_a_shift(mode: str) -> None:
    image = random(1, 3, 12, 15, dtype=torch.float64)
    dx, dy = 3, -2
    warped = warp(image, constant(dx, dy, 12, 15, torch.float64), mode=mode)
    # warped[y, x] = image[y - 2, x + 3]
    torch.testing.assert_close(warped[..., 2:, :12], image[..., :10, 3:])
    torch.testing.assert_close(warped[..., 2:, 12:], image[..., :10, -1:].expand(1, 3, 10, 3))  # the nearest edge pixel
    outside = warp(image, constant(dx, dy, 12, 15, torch.float64), "zeros", mode)
    assert outside[..., :2, :].abs().max() < 1e-12
    assert outside[..., 12:].abs().max() < 1e-12


def test_a_point_moves_against_the_flow() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 6] = 1
    assert warp(image, constant(2, 0, 9, 9))[0, 0, 4, 4] == pytest.approx(1)
    assert warp(image, constant(0, 1, 9, 9))[0, 0, 3, 6] == pytest.approx(1)


@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_bicubic_is_catmull_rom_by_loop(padding: str) -> None:
    image, flow = random(1, 2, 7, 9, dtype=torch.float64), 8 * random(1, 2, 7, 9, seed=2, dtype=torch.float64) - 4
    expected = sampled_by_loop(image[0].numpy(), flow[0].numpy(), padding)
    np.testing.assert_allclose(warp(image, flow, padding, "bicubic")[0].numpy(), expected, rtol=0, atol=1e-12)


def test_bicubic_reproduces_parabolas() -> None:
    y, x = torch.meshgrid(*2 * (torch.arange(16, dtype=torch.float64),), indexing="ij")

    def parabola(x: Tensor, y: Tensor) -> Tensor:
        return 0.02 * x * x - 0.03 * x * y + 0.01 * y * y + 0.5 * x - y

    warped = warp(parabola(x, y)[None, None], constant(0.3, -0.7, 16, 16, torch.float64), mode="bicubic")
    expected = parabola(x + 0.3, y - 0.7)
    torch.testing.assert_close(warped[0, 0, 3:-3, 3:-3], expected[3:-3, 3:-3], rtol=0, atol=1e-12)
    bilinear = warp(parabola(x, y)[None, None], constant(0.3, -0.7, 16, 16, torch.float64))
    assert (bilinear[0, 0] - expected)[3:-3, 3:-3].abs().max() > 1e-3


@pytest.mark.parametrize("size", [8, 33])
def test_legacy_grid_of_the_published_code(size: int) -> None:
    """Coordinate i samples i·w/(w-1) - 0.5, and the flow is stretched by w/(w-1)."""
    ramp = torch.arange(float(size), dtype=torch.float64).expand(1, 1, size, size)  # its value is its place
    for shift in (0.0, 1.5):
        warped = warp(ramp, constant(shift, 0, size, size, torch.float64), grid="legacy")[0, 0, size // 2]
        stretch = size / (size - 1)
        expected = (ramp[0, 0, 0] * stretch - 0.5 + shift * stretch).clamp(0, size - 1)
        torch.testing.assert_close(warped, expected)
    assert (warp(ramp, constant(0, 0, size, size, torch.float64), grid="legacy") - ramp).abs().max() > 0.3


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_dtypes(mode: str) -> None:
    image, flow = random(1, 3, 64, 300), smooth_flow(64, 300, 3.0)
    exact = warp(image.double(), flow.double(), mode=mode)
    assert exact.dtype == torch.float64
    assert (exact - warp(image, flow, mode=mode)).abs().max() < 2e-4
    coarse = warp(image.bfloat16(), flow, mode=mode)
    assert coarse.dtype == torch.bfloat16
    # Coordinates are never half precision: what is lost is the rounding of the image alone.
    expected = warp(image.bfloat16().float(), flow, mode=mode)
    torch.testing.assert_close(coarse.float(), expected, rtol=2**-8, atol=2**-8)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_gradient(mode: str, padding: str) -> None:
    image = random(1, 2, 5, 6, dtype=torch.float64).requires_grad_()
    flow = (3 * random(1, 2, 5, 6, seed=3, dtype=torch.float64) - 1.5).requires_grad_()
    assert torch.autograd.gradcheck(lambda i: warp(i, flow.detach(), padding, mode), (image,))
    assert torch.autograd.gradcheck(lambda f: warp(image.detach(), f, padding, mode), (flow,))


def test_what_does_not_fit_is_refused() -> None:
    image, flow = random(1, 3, 4, 5), constant(0, 0, 4, 5)
    for setting in ({"mode": "nearest"}, {"padding": "reflection"}, {"grid": "official"}):
        with pytest.raises(ValueError, match=next(iter(setting.values()))):
            warp(image, flow, **setting)
    for wrong in (flow[:, :1], flow[..., :4], flow.expand(2, 2, 4, 5), flow[0]):
        with pytest.raises(ValueError, match="does not fit"):
            warp(image, wrong)


def test_in_frame_counts_the_pixels_that_have_a_partner() -> None:
    flow = constant(2.5, -1, 6, 8).requires_grad_()
    kept = in_frame(flow)
    assert kept.shape == (1, 1, 6, 8)
    assert not kept.requires_grad
    expected = torch.zeros(6, 8)
    expected[1:, :5] = 1  # y - 1 >= 0 and x + 2.5 <= 7
    assert torch.equal(kept[0, 0], expected)
    assert in_frame(torch.zeros(1, 2, 3, 4)).min() == 1  # the border belongs to the image


def test_inverse_cancels() -> None:
    flow = smooth_flow(48, 56, 3.0, torch.float64)
    inverse = invert(flow, iterations=30)
    there_and_back = flow + warp(inverse, flow)
    assert there_and_back[..., 6:-6, 6:-6].abs().max() < 0.02  # bilinear look-up in a curved field
    assert (flow + inverse).abs().max() > 0.2  # the negative flow is not the inverse
    torch.testing.assert_close(invert(constant(2, -3, 9, 9)), constant(-2, 3, 9, 9))


def test_samples_of_a_batch_do_not_mix() -> None:
    image, flow = random(3, 2, 11, 13), 6 * random(3, 2, 11, 13, seed=4) - 3
    for mode in ("bilinear", "bicubic"):
        single = torch.cat([warp(image[i : i + 1], flow[i : i + 1], mode=mode) for i in range(3)])
        torch.testing.assert_close(warp(image, flow, mode=mode), single)


def test_magnitude_is_the_norm_over_the_two_components() -> None:
    flow = 9 * torch.randn(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(magnitude(flow), flow.norm(dim=1, keepdim=True))
    assert magnitude(torch.zeros(1, 2, 3, 3, dtype=torch.bfloat16)).eq(0).all()
