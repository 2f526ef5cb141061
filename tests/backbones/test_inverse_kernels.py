"""INIKNet's kernels tap by tap, and its filters pixel by pixel."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from backbones.published_iniknet import BASES
from jdrl_lightning.backbones.inverse_kernels import SIDES_PX, InverseKernels, mixed, polar_coordinates


def test_coordinates_of_a_kernel_of_three() -> None:
    """Down, right; distance in half diagonals, and cosine and sine of the angle from down, mapped to [0, 1]."""
    root = math.sqrt(0.5)
    expected = [(1, -root, -root), (root, -1, 0), (1, -root, root), (root, 0, -1), (0, 1, 0), (root, 0, 1)]
    expected += [(1, root, -root), (root, 1, 0), (1, root, root)]
    found = polar_coordinates(3, torch.zeros((), dtype=torch.float64))
    mapped = torch.tensor([(r, (1 + c) / 2, (1 + s) / 2) for r, c, s in expected], dtype=torch.float64)
    torch.testing.assert_close(found, mapped, rtol=0, atol=1e-15)


def test_kernels_tap_by_tap() -> None:
    torch.manual_seed(0)
    dictionary = InverseKernels(BASES).double()
    kernels = dictionary()
    assert [kernel.shape for kernel in kernels] == [(BASES, side, side) for side in SIDES_PX]
    assert dictionary.frequency.tolist() == [2, 7, 12]
    for kernel, side in zip(kernels, SIDES_PX, strict=True):
        half = side // 2
        for base, row, column in ((0, 0, 0), (1, half, half), (2, half, 0), (1, side - 1, 1), (0, 1, half)):
            down, right = row / half - 1, column / half - 1
            angle = math.atan2(right, down)
            values = [math.hypot(down, right) / 2**0.5, (1 + math.cos(angle)) / 2, (1 + math.sin(angle)) / 2]
            speed = dictionary.frequency[base].item()
            for layer in (dictionary.first, dictionary.second):
                rows, shifts = layer.weight[base].tolist(), layer.bias[base].tolist()  # type: ignore[index]
                values = [
                    math.sin(speed * (math.fsum(a * v for a, v in zip(row, values, strict=True)) + shift))
                    for row, shift in zip(rows, shifts, strict=True)
                ]
            (rows,) = dictionary.last.weight[base].tolist()
            tap = math.fsum(a * v for a, v in zip(rows, values, strict=True)) * 9 / side**2
            assert kernel[base, row, column].item() == pytest.approx(tap, abs=1e-12)


def test_filters_pixel_by_pixel() -> None:
    torch.manual_seed(0)
    options: dict[str, Any] = {"dtype": torch.float64}
    image, sizes, bases = (torch.rand(2, channels, 6, 5, **options) for channels in (3, 2, 4))
    kernels, colours = [torch.rand(4, side, side, **options) for side in (3, 5)], torch.rand(2, 3, 3, 4, **options)
    found = mixed(image, kernels, sizes, bases, colours)
    padded = F.pad(image, (2, 2, 2, 2))
    for batch, row, column in ((0, 0, 0), (0, 3, 2), (1, 5, 4), (1, 2, 0)):
        expected = torch.zeros(3, **options)
        for size, half in enumerate((1, 2)):
            patch = padded[batch, :, row + 2 - half : row + 3 + half, column + 2 - half : column + 3 + half]
            filtered = (kernels[size][:, None] * patch).sum((2, 3))  # kernel, colour
            weights = sizes[batch, size, row, column] * bases[batch, :, row, column]
            expected += torch.einsum("m,oim,mi->o", weights, colours[size], filtered)
        torch.testing.assert_close(found[batch, :, row, column], expected, rtol=0, atol=1e-12)
