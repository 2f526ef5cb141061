from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate
from scipy.stats import wasserstein_distance
from torch import Tensor

from jdrl_lightning.losses.frequency import frequency_distribution_loss, random_projections, sliced_wasserstein


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def with_scipy(first: Tensor, second: Tensor, projections: Tensor) -> float:
    """The mean over images and projections of SciPy's distance between the projected patches."""
    distances = []
    for maps in zip(first.numpy(), second.numpy(), strict=True):
        for along in projections.numpy():
            ours, theirs = (correlate(one, along, mode="valid").ravel() for one in maps)
            distances.append(wasserstein_distance(ours, theirs))
    return float(np.mean(distances))


def test_the_sliced_distance_equals_scipys() -> None:
    first, second = images(2, 3, 9, 11)
    along = random_projections(3, 7, 4).double()
    assert sliced_wasserstein(first, second, along).item() == pytest.approx(with_scipy(first, second, along))


def test_the_loss_equals_numpys_transform_and_scipys_distance() -> None:
    first, second = images(2, 3, 11, 9)  # odd: at the highest frequency of an even side, rounding chooses ±π
    along = random_projections(3, 5).double()
    ours, theirs = (np.fft.fft2(image.numpy()) for image in (first, second))
    amplitude, phase = (
        with_scipy(torch.from_numpy(part(ours)), torch.from_numpy(part(theirs)), along) for part in (np.abs, np.angle)
    )
    assert frequency_distribution_loss(first, second, along, 0.3).item() == pytest.approx(amplitude + 0.3 * phase)


def test_a_shift_around_the_border_costs_only_phase() -> None:
    """Amplitudes do not move with the image; a factor on it scales them and leaves the phases."""
    image, along = images(1, 3, 17, 15)[0], random_projections(3, 8).double()
    moved = image.roll((3, 5), (2, 3))
    assert frequency_distribution_loss(moved, image, along, 0.0).item() == pytest.approx(0, abs=1e-9)
    assert frequency_distribution_loss(moved, image, along).item() > 1e-3
    assert frequency_distribution_loss(image, image, along).item() == 0
    brighter = frequency_distribution_loss(2 * image, image, along)
    assert brighter.item() == pytest.approx(frequency_distribution_loss(2 * image, image, along, 0.0).item(), rel=1e-6)


def test_projections_are_unit_directions_and_always_the_same() -> None:
    drawn = random_projections(3, 500)
    torch.testing.assert_close(drawn.square().sum((1, 2, 3)), torch.ones(500))
    assert drawn.mean().abs() < 0.01
    assert torch.equal(drawn, random_projections(3, 500))


def test_gradcheck() -> None:
    first, second = images(1, 2, 7, 9)
    first.requires_grad_()
    along = random_projections(2, 3).double()
    assert torch.autograd.gradcheck(lambda image: frequency_distribution_loss(image, second, along), (first,))


def test_half_precision_is_computed_in_single() -> None:
    first, second = images(1, 3, 12, 12).float()
    along = random_projections(3, 4)
    expected = frequency_distribution_loss(first.bfloat16().float(), second.bfloat16().float(), along)
    found = frequency_distribution_loss(first.bfloat16(), second.bfloat16(), along)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


def test_wrong_shapes_are_refused() -> None:
    along = random_projections(3, 2)
    with pytest.raises(ValueError, match="must be of equal shape"):
        frequency_distribution_loss(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9), along)
    with pytest.raises(ValueError, match="at least 5"):
        frequency_distribution_loss(torch.rand(1, 3, 4, 8), torch.rand(1, 3, 4, 8), along)
