"""The affine part of a flow: known parameters come back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.flow.affine import affine_field, affine_fit, affine_parameters, invert_affine, similarity


def affine_flow(matrix: list[list[float]], shift: list[float], height: int, width: int) -> Tensor:
    """``matrix (p - centre) + shift`` in pixels, float64."""
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    places = torch.stack([x, y])
    linear = torch.einsum("ij,jhw->ihw", torch.tensor(matrix, dtype=torch.float64), places)
    return (linear + torch.tensor(shift, dtype=torch.float64).view(2, 1, 1))[None]


SHEARED = affine_flow([[0.03, -0.01], [0.02, -0.04]], [5.0, -2.5], 21, 34)


def test_parameters_are_recovered() -> None:
    parameters, basis = affine_parameters(SHEARED)
    half_width, half_height = 33 / 2, 20 / 2
    expected = [[[0.03 * half_width, -0.01 * half_height, 5.0], [0.02 * half_width, -0.04 * half_height, -2.5]]]
    torch.testing.assert_close(parameters, torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    assert basis.shape == (3, 21, 34)
    torch.testing.assert_close(affine_fit(SHEARED), SHEARED, rtol=0, atol=2e-5)
    assert affine_fit(SHEARED.float()).dtype == torch.float32


def test_the_fit_is_numpys_least_squares() -> None:
    generator = torch.Generator().manual_seed(0)
    flow = torch.randn(1, 2, 9, 12, generator=generator, dtype=torch.float64)
    weight = torch.rand(1, 1, 9, 12, generator=generator, dtype=torch.float64)
    y, x = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 12), indexing="ij")
    root = weight.sqrt().numpy().reshape(-1, 1)
    columns = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
    expected = np.linalg.lstsq(root * columns, root * flow[0].reshape(2, -1).numpy().T, rcond=None)[0].T
    np.testing.assert_allclose(affine_parameters(flow, weight)[0][0].numpy(), expected, rtol=0, atol=1e-4)


def test_weights_leave_outliers_out() -> None:
    disturbed, weight = SHEARED.clone(), torch.ones(1, 1, 21, 34, dtype=torch.float64)
    disturbed[..., :7, :9] += 40
    weight[..., :7, :9] = 0
    assert (affine_fit(disturbed) - SHEARED).abs().max() > 1
    torch.testing.assert_close(affine_fit(disturbed, weight), SHEARED, rtol=0, atol=5e-5)


def test_similarity_in_plain_terms() -> None:
    angle, zoom = 0.02, 0.03
    matrix = [
        [(1 + zoom) * math.cos(angle) - 1, -(1 + zoom) * math.sin(angle)],
        [(1 + zoom) * math.sin(angle), (1 + zoom) * math.cos(angle) - 1],
    ]
    found = similarity(affine_flow(matrix, [1.5, -0.5], 40, 61))
    assert found.zoom.item() == pytest.approx((1 + zoom) * math.cos(angle) - 1, abs=1e-6)
    assert found.rotation.item() == pytest.approx((1 + zoom) * math.sin(angle), abs=1e-6)
    assert found.dx.item() == pytest.approx(1.5, abs=1e-5)
    assert found.dy.item() == pytest.approx(-0.5, abs=1e-5)


def test_each_sample_for_itself() -> None:
    flows = torch.cat([SHEARED, -2 * SHEARED, torch.zeros_like(SHEARED)])
    torch.testing.assert_close(affine_fit(flows), flows, rtol=0, atol=5e-5)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 6), (6, 1)])
def test_thin_images_and_no_weight_stay_finite(height: int, width: int) -> None:
    flow = torch.full((1, 2, height, width), 3.0)
    fitted = affine_fit(flow)
    torch.testing.assert_close(fitted, flow, rtol=0, atol=1e-3)
    assert affine_fit(flow, torch.zeros(1, 1, height, width)).isfinite().all()
    found = similarity(flow)
    assert found.zoom.item() == pytest.approx(0, abs=1e-3)
    assert found.dx.item() == pytest.approx(3, abs=1e-3)


def test_the_inverse_undoes_the_displacement() -> None:
    """Against NumPy's inverse of the maps, in pixels about the centre."""
    parameters, _ = affine_parameters(SHEARED)
    torch.testing.assert_close(affine_field(parameters, SHEARED), SHEARED, rtol=0, atol=2e-5)
    forward = np.array([[1.03, -0.01, 5.0], [0.02, 0.96, -2.5], [0, 0, 1]])
    back = np.linalg.inv(forward) - np.eye(3)
    expected = affine_flow(back[:2, :2].tolist(), back[:2, 2].tolist(), 21, 34)
    found = affine_field(invert_affine(parameters, SHEARED), SHEARED)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)
