"""The operator at one scale: Eq. 7-9 by explicit loops, gradients, dtypes, memory. Scales: test_operator_scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.reblur.operator import reblur
from reblur.random_maps import random_maps


def pixel(image: np.ndarray, y: int, x: int, padding: str) -> np.ndarray:
    _, height, width = image.shape
    if padding == "reflect":
        y = -y if y < 0 else 2 * (height - 1) - y if y >= height else y
        x = -x if x < 0 else 2 * (width - 1) - x if x >= width else x
    elif not (0 <= y < height and 0 <= x < width):
        return np.zeros(image.shape[0])
    return image[:, y, x]


def radial_logit(values: np.ndarray, dy: int, dx: int, support: str) -> float:
    rho, reach = math.sqrt(dy * dy + dx * dx), len(values) - 1
    if rho > reach:
        return 0.0 if support == "square" else -math.inf
    low, high = math.floor(rho), math.ceil(rho)
    return values[low] if low == high else (high - rho) * values[low] + (rho - low) * values[high]


def brute_force(image: Tensor, seeds: Tensor, weights: Tensor, levels: int, support: str, padding: str) -> Tensor:
    out = torch.zeros_like(image)
    for b in range(image.shape[0]):
        picture = image[b].numpy()
        for y in range(picture.shape[1]):
            for x in range(picture.shape[2]):
                total = weights[b, 0, y, x].item() * picture[:, y, x]
                first = 0
                for level in range(2, levels + 1):
                    values = seeds[b, first : first + level, y, x].abs().numpy()
                    first += level
                    offsets = range(1 - level, level)
                    value, normaliser = np.zeros(picture.shape[0]), 0.0
                    for dy in offsets:
                        for dx in offsets:
                            element = math.exp(radial_logit(values, dy, dx, support))
                            normaliser += element
                            value += element * pixel(picture, y + dy, x + dx, padding)
                    total = total + weights[b, level - 1, y, x].item() * value / normaliser
                out[b, :, y, x] = torch.from_numpy(total)
    return out


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("support", ["square", "disk"])
@pytest.mark.parametrize("levels", range(2, 9))
def test_equals_brute_force(levels: int, support: str, padding: str) -> None:
    image, seeds, weights = random_maps(levels, height=8, width=9)
    expected = brute_force(image, seeds, weights, levels, support, padding)
    torch.testing.assert_close(reblur(image, seeds, weights, levels, support, padding), expected, rtol=0, atol=1e-10)
    single = reblur(image.float(), seeds.float(), weights.float(), levels, support, padding)
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("support", ["square", "disk"])
def test_gradcheck(support: str, padding: str) -> None:
    image, seeds, weights = random_maps(4, height=5, width=4, batch=2, channels=2)
    leaves = [t.requires_grad_() for t in (image, seeds, weights)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, levels=4, support=support, padding=padding), leaves)


def test_gradcheck_all_levels_without_abs() -> None:
    leaves = [t.requires_grad_() for t in random_maps(8, height=2, width=2, channels=1)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, absolute=False), leaves)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("support", ["square", "disk"])
@pytest.mark.parametrize("stride", [2, 3, 4])
def test_coarse_maps_equal_enlarged_ones(stride: int, support: str, padding: str) -> None:
    leaves = [t.requires_grad_() for t in random_maps(4, height=11, width=13, batch=2, stride=stride)]
    full = [F.interpolate(t, scale_factor=stride, mode="bilinear")[..., :11, :13] for t in leaves[1:]]
    expected = reblur(leaves[0], full[0], full[1], 4, support, padding)
    wanted = torch.autograd.grad(expected.square().sum(), leaves)
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        tensors = [t.detach().to(dtype).requires_grad_() for t in leaves]
        result = reblur(*tensors, levels=4, support=support, padding=padding, stride=stride)
        torch.testing.assert_close(result.double(), expected, rtol=0, atol=tolerance)
        for ours, theirs in zip(torch.autograd.grad(result.square().sum(), tensors), wanted, strict=True):
            torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("stride", [2, 3])
def test_gradcheck_of_coarse_maps(stride: int) -> None:
    leaves = [t.requires_grad_() for t in random_maps(3, height=5, width=4, batch=2, channels=1, stride=stride)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, levels=3, stride=stride), leaves)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_gradient_of_one_input_alone(wanted: int, dtype: torch.dtype) -> None:
    tensors = [t.requires_grad_() for t in random_maps(3, batch=2, dtype=dtype)]
    together = torch.autograd.grad(reblur(*tensors, levels=3).square().sum(), tensors)
    alone = [t.detach() for t in tensors]
    alone[wanted].requires_grad_()
    (gradient,) = torch.autograd.grad(reblur(*alone, levels=3).square().sum(), alone[wanted])
    assert torch.equal(gradient, together[wanted])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_second_derivatives_are_refused(dtype: torch.dtype) -> None:
    image, seeds, weights = (t.requires_grad_() for t in random_maps(3, dtype=dtype))
    (gradient,) = torch.autograd.grad(reblur(image, seeds, weights, levels=3).square().sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="trying to differentiate twice: the reblurring operator"):
        gradient.sum().backward()


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_constant_image_reblurs_to_itself(padding: str) -> None:
    _, seeds, weights = random_maps(8, height=20, width=20, dtype=torch.float32)
    reblurred = reblur(torch.full((1, 3, 20, 20), 0.7), seeds, weights, padding=padding)
    inside = reblurred if padding == "reflect" else reblurred[..., 7:-7, 7:-7]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7), rtol=0, atol=1e-6)
    if padding == "zeros":
        assert reblurred[0, 0, 0, 0] < 0.69  # light is lost at the border, as in the published code


def test_weight_on_the_first_level_is_the_identity() -> None:
    image, seeds, weights = random_maps(8)
    unblurred = torch.zeros_like(weights)
    unblurred[:, 0] = 1
    assert torch.equal(reblur(image, seeds, unblurred), image)


def test_dtypes() -> None:
    double = random_maps(8, dtype=torch.float64)
    exact = reblur(*double)
    assert exact.dtype == torch.float64
    single = reblur(*[t.float() for t in double])
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_in_half_precision(dtype: torch.dtype) -> None:
    tensors = [t.requires_grad_() for t in random_maps(8, batch=2, dtype=dtype)]
    exact = [t.detach().double().requires_grad_() for t in tensors]
    result, expected = reblur(*tensors), reblur(*exact)
    assert result.dtype == dtype
    cotangent = torch.rand_like(result)
    found = torch.autograd.grad(result, tensors, cotangent)
    wanted = torch.autograd.grad(expected, exact, cotangent.double())
    for ours, theirs in zip((result, *found), (expected, *wanted), strict=True):
        torch.testing.assert_close(ours, theirs.to(dtype))


def test_half_precision_is_computed_in_float32() -> None:
    halves = [t.bfloat16().requires_grad_() for t in random_maps(8, dtype=torch.float32)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = reblur(*halves)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, reblur(*[t.float() for t in halves]).bfloat16())
    result.float().sum().backward()
    assert all(t.grad is not None and t.grad.dtype == torch.bfloat16 for t in halves)
    image, seeds, weights = random_maps(8, dtype=torch.float32)
    assert reblur(image, seeds.bfloat16(), weights.bfloat16()).dtype == torch.float32


def test_memory_format_does_not_matter() -> None:
    tensors = random_maps(4, batch=2)
    last = [t.to(memory_format=torch.channels_last).requires_grad_() for t in tensors]
    result = reblur(*last, levels=4)
    assert torch.equal(result, reblur(*tensors, levels=4))
    plain = [t.requires_grad_() for t in tensors]
    expected = torch.autograd.grad(reblur(*plain, levels=4).square().sum(), plain)
    torch.testing.assert_close(torch.autograd.grad(result.square().sum(), last), expected)


def test_keeps_only_its_inputs_for_the_backward() -> None:
    image, seeds, weights = (t.requires_grad_() for t in random_maps(8, height=20, width=30))
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        reblur(image, seeds, weights)
    assert sorted(tuple(t.shape) for t in kept) == sorted([(1, 3, 34, 44), (1, 35, 20, 30), (1, 8, 20, 30)])
    kept.clear()
    coarse = [t.detach().requires_grad_() for t in random_maps(8, height=20, width=30, stride=4)]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        reblur(*coarse, stride=4)
    assert sorted(tuple(t.shape) for t in kept) == sorted([(1, 3, 34, 44), (1, 35, 5, 8), (1, 8, 5, 8)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": torch.zeros(1, 34, 9, 10)}, r"seeds must be \(1, 35, 9, 10\) for levels=8"),
        ({"weights": torch.zeros(1, 7, 9, 10)}, r"weights must be \(1, 8, 9, 10\)"),
        ({"seeds": torch.zeros(1, 35, 9, 9)}, "seeds must be"),
        ({"weights": torch.zeros(2, 8, 9, 10)}, "weights must be"),
        ({"image": torch.zeros(3, 9, 10)}, "image must be"),
        ({"image": torch.zeros(1, 3, 9, 10, dtype=torch.uint8)}, "image must be a float"),
        ({"levels": 1}, "at least 2"),
        ({"scales": 0}, "at least 1"),
        ({"stride": 0}, "at least 1"),
        ({"stride": 2}, r"seeds must be \(1, 35, 5, 5\) for levels=8, stride=2"),
        ({"padding": "circular"}, "not one of zeros, reflect"),
        ({"support": "ring"}, "not one of square, disk"),
    ],
)
def test_refuses_wrong_input(change: dict[str, object], message: str) -> None:
    image, seeds, weights = random_maps(8, dtype=torch.float32)
    with pytest.raises(ValueError, match=message):
        reblur(**({"image": image, "seeds": seeds, "weights": weights} | change))  # type: ignore[arg-type]


def test_refuses_to_reflect_a_tiny_image() -> None:
    image, seeds, weights = random_maps(8, height=7)
    with pytest.raises(ValueError, match="at least 8 px"):
        reblur(image, seeds, weights, padding="reflect")
