"""The C++ kernel against the reference in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning.native.library import load_library
from jdrl_lightning.reblur import cpu_kernel, reference
from jdrl_lightning.reblur.kernel_interface import ReblurInputs, ReblurKernel
from reblur.random_maps import random_inputs

try:
    load_library(*cpu_kernel.LIBRARY)
except OSError:
    pytest.skip("no C++ compiler here", allow_module_level=True)


def computed(kernel: ReblurKernel, inputs: ReblurInputs) -> list[Tensor]:
    """The result, and the gradients of the padded image, the seeds and the weights."""
    reblurred = kernel.forward(inputs)
    draw = torch.Generator().manual_seed(1)
    grad = torch.randn(reblurred.shape, dtype=torch.float64, generator=draw).to(reblurred.dtype)
    return [reblurred, *kernel.backward(grad, inputs, True, True)]


@pytest.mark.parametrize(
    ("levels", "height", "width", "batch", "channels"),
    [(8, 37, 43, 2, 3), (8, 1, 1, 1, 1), (8, 5, 3, 1, 3), (3, 40, 250, 1, 4), (2, 9, 16, 3, 1), (11, 17, 130, 1, 2)],
)
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("absolute", [True, False])
@pytest.mark.parametrize("support", ["square", "disk"])
def test_equals_the_reference(
    support: str, absolute: bool, stride: int, levels: int, height: int, width: int, batch: int, channels: int
) -> None:
    exact = random_inputs(levels, height, width, batch, channels, torch.float64, support, absolute, stride)
    found = computed(cpu_kernel, exact.map(Tensor.float))
    for ours, theirs in zip(found, computed(reference, exact), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6 * float(theirs.abs().max()))


def test_one_value_for_the_whole_image() -> None:
    exact = random_inputs(3, 70, 30, 2, dtype=torch.float64, stride=100)
    found = computed(cpu_kernel, exact.map(Tensor.float))
    for ours, theirs in zip(found, computed(reference, exact), strict=True):
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-6 * float(theirs.abs().max()))


@pytest.mark.parametrize("needed", [(True, False), (False, True)])
@pytest.mark.parametrize("stride", [1, 4])
def test_only_the_gradients_that_are_needed(stride: int, needed: tuple[bool, bool]) -> None:
    inputs = random_inputs(4, 37, 130, 2, stride=stride)
    grad = torch.rand(inputs.output_shape)
    image, *maps = cpu_kernel.backward(grad, inputs, True, True)
    expected = [image] * needed[0] + maps * needed[1]
    assert all(map(torch.equal, cpu_kernel.backward(grad, inputs, *needed), expected))


@pytest.mark.parametrize("stride", [1, 3, 4, 13])
def test_the_number_of_threads_changes_no_bit(stride: int) -> None:
    inputs = random_inputs(8, 90, 120, 2, stride=stride)
    alone = computed(cpu_kernel, inputs)  # one thread: see conftest
    torch.set_num_threads(5)
    assert all(map(torch.equal, computed(cpu_kernel, inputs), alone))


@pytest.mark.parametrize("stride", [1, 4])
def test_memory_format_and_half_precision(stride: int) -> None:
    inputs = random_inputs(4, 12, 20, 2, stride=stride)
    expected = computed(cpu_kernel, inputs)
    last = inputs.map(lambda tensor: tensor.to(memory_format=torch.channels_last))
    assert all(map(torch.equal, computed(cpu_kernel, last), expected))
    halves = inputs._replace(seeds=inputs.seeds.bfloat16(), weights=inputs.weights.half())
    found, singles = computed(cpu_kernel, halves), computed(cpu_kernel, halves.map(Tensor.float))
    assert [t.dtype for t in found] == [torch.float32, torch.float32, torch.bfloat16, torch.float16]
    for half, single in zip(found, singles, strict=True):
        assert torch.equal(half, single.to(half.dtype))


@pytest.mark.parametrize("absolute", [True, False])
def test_large_and_zero_seeds(absolute: bool) -> None:
    inputs = random_inputs(8, 4, 40, dtype=torch.float64, absolute=absolute)
    inputs.seeds[..., :10] *= 1000
    inputs.seeds[..., 10:20] *= -100
    inputs.seeds[..., 20:30] = 0
    found = computed(cpu_kernel, inputs.map(Tensor.float))
    for ours, theirs in zip(found, computed(reference, inputs), strict=True):
        # in float32 a seed of some thousands has three decimals at most
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("where", ["padded", "seeds", "weights"])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_nan_and_infinity_spread_as_far_as_they_should(stride: int, where: str, wrong: float) -> None:
    inputs = random_inputs(4, 20, 40, stride=stride)
    spoiled = getattr(inputs, where)
    spoiled[0, 1, spoiled.shape[2] // 2, spoiled.shape[3] // 2] = wrong
    for ours, theirs in zip(computed(cpu_kernel, inputs), computed(reference, inputs), strict=True):
        assert torch.equal(ours.isfinite(), theirs.isfinite())
        assert bool(ours.isfinite().any())
        finite = theirs.isfinite()
        torch.testing.assert_close(ours[finite], theirs[finite], rtol=1e-5, atol=1e-5)


def test_an_empty_batch() -> None:
    assert [t.shape[0] for t in computed(cpu_kernel, random_inputs(3, 4, 5, batch=0))] == [0, 0, 0, 0]
    assert [t.shape[0] for t in computed(cpu_kernel, random_inputs(3, 4, 5, batch=0, stride=2))] == [0, 0, 0, 0]
