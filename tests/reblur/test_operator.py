"""The fast operator against Eq. 7-9 by explicit loops, and against its own promises on gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.reblur.operator import reblur


def inputs(
    levels: int, height: int = 9, width: int = 10, batch: int = 1, channels: int = 3, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(levels)
    image = torch.rand(batch, channels, height, width, dtype=dtype, generator=generator)
    seeds = torch.randn(batch, levels * (levels + 1) // 2 - 1, height, width, dtype=dtype, generator=generator)
    weights = torch.randn(batch, levels, height, width, dtype=dtype, generator=generator).softmax(dim=1)
    return image, 2 * seeds, weights


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
    image, seeds, weights = inputs(levels, height=8, width=9)
    expected = brute_force(image, seeds, weights, levels, support, padding)
    torch.testing.assert_close(reblur(image, seeds, weights, levels, support, padding), expected, rtol=0, atol=1e-10)
    single = reblur(image.float(), seeds.float(), weights.float(), levels, support, padding)
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("support", ["square", "disk"])
def test_gradcheck(support: str, padding: str) -> None:
    image, seeds, weights = inputs(4, height=5, width=4, batch=2, channels=2)
    leaves = [t.requires_grad_() for t in (image, seeds, weights)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, levels=4, support=support, padding=padding), leaves)


def test_gradcheck_all_levels_without_abs() -> None:
    leaves = [t.requires_grad_() for t in inputs(8, height=2, width=2, channels=1)]
    assert torch.autograd.gradcheck(lambda *t: reblur(*t, absolute=False), leaves)


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_gradient_of_one_input_alone(wanted: int) -> None:
    tensors = inputs(3)
    together = torch.autograd.grad(reblur(*[t.requires_grad_() for t in tensors], levels=3).square().sum(), tensors)
    alone = [t.detach() for t in tensors]
    alone[wanted].requires_grad_()
    (gradient,) = torch.autograd.grad(reblur(*alone, levels=3).square().sum(), alone[wanted])
    torch.testing.assert_close(gradient, together[wanted])


def test_double_backward_is_refused() -> None:
    image, seeds, weights = (t.requires_grad_() for t in inputs(3))
    (gradient,) = torch.autograd.grad(reblur(image, seeds, weights, levels=3).square().sum(), image, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        gradient.sum().backward()


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_a_constant_image_reblurs_to_itself(padding: str) -> None:
    _, seeds, weights = inputs(8, height=20, width=20, dtype=torch.float32)
    reblurred = reblur(torch.full((1, 3, 20, 20), 0.7), seeds, weights, padding=padding)
    inside = reblurred if padding == "reflect" else reblurred[..., 7:-7, 7:-7]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7), rtol=0, atol=1e-6)
    if padding == "zeros":
        assert reblurred[0, 0, 0, 0] < 0.69  # light is lost at the border, as in the published code


def test_weight_on_the_first_level_is_the_identity() -> None:
    image, seeds, weights = inputs(8)
    unblurred = torch.zeros_like(weights)
    unblurred[:, 0] = 1
    assert torch.equal(reblur(image, seeds, unblurred), image)


def test_dtypes() -> None:
    double = inputs(8, dtype=torch.float64)
    exact = reblur(*double)
    assert exact.dtype == torch.float64
    single = reblur(*[t.float() for t in double])
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=0, atol=1e-6)


def test_half_precision_is_computed_in_float32() -> None:
    halves = [t.bfloat16().requires_grad_() for t in inputs(8, dtype=torch.float32)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = reblur(*halves)
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, reblur(*[t.float() for t in halves]).bfloat16())
    result.float().sum().backward()
    assert all(t.grad is not None and t.grad.dtype == torch.bfloat16 for t in halves)
    image, seeds, weights = inputs(8, dtype=torch.float32)
    assert reblur(image, seeds.bfloat16(), weights.bfloat16()).dtype == torch.float32


def test_memory_format_does_not_matter() -> None:
    tensors = inputs(4, batch=2)
    last = [t.to(memory_format=torch.channels_last).requires_grad_() for t in tensors]
    result = reblur(*last, levels=4)
    assert torch.equal(result, reblur(*tensors, levels=4))
    plain = [t.requires_grad_() for t in tensors]
    expected = torch.autograd.grad(reblur(*plain, levels=4).square().sum(), plain)
    torch.testing.assert_close(torch.autograd.grad(result.square().sum(), last), expected)


def test_keeps_only_its_inputs_for_the_backward() -> None:
    image, seeds, weights = (t.requires_grad_() for t in inputs(8, height=20, width=30))
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        reblur(image, seeds, weights)
    assert sorted(tuple(t.shape) for t in kept) == sorted([(1, 3, 34, 44), (1, 35, 20, 30), (1, 8, 20, 30)])


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
        ({"padding": "circular"}, "none of zeros, reflect"),
        ({"support": "ring"}, "none of square, disk"),
    ],
)
def test_refuses_wrong_input(change: dict[str, object], message: str) -> None:
    image, seeds, weights = inputs(8, dtype=torch.float32)
    with pytest.raises(ValueError, match=message):
        reblur(**({"image": image, "seeds": seeds, "weights": weights} | change))  # type: ignore[arg-type]


def test_refuses_to_reflect_a_tiny_image() -> None:
    image, seeds, weights = inputs(8, height=7)
    with pytest.raises(ValueError, match="at least 8 px"):
        reblur(image, seeds, weights, padding="reflect")
