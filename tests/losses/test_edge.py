from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from jdrl_lightning.losses.edge import edge_loss, laplacian

TAPS = [0.05, 0.25, 0.4, 0.25, 0.05]


def _blur(image: np.ndarray) -> np.ndarray:
    return convolve1d(convolve1d(image, TAPS, axis=-1, mode="nearest"), TAPS, axis=-2, mode="nearest")


def _laplacian(image: np.ndarray) -> np.ndarray:
    """One channel at a time: reduce to half the size, put the pixels back two apart, interpolate."""
    half = _blur(image)[::2, ::2]
    expanded = np.zeros_like(image)
    expanded[::2, ::2] = 4 * half
    return image - _blur(expanded)


@pytest.mark.parametrize("size", [(12, 16), (9, 7), (1, 3)])
def test_laplacian_equals_scipy(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    expected = np.stack([[_laplacian(channel) for channel in one] for one in image.numpy()])
    np.testing.assert_allclose(laplacian(image).numpy(), expected, atol=1e-12)


def test_smooth_images_have_no_edges_inside() -> None:
    ramp = torch.linspace(0, 1, 32, dtype=torch.float64).expand(1, 3, 32, 32)
    assert laplacian(ramp)[..., 5:-5, 5:-5].abs().max() < 1e-12


def test_loss_compares_the_two_pyramids() -> None:
    restored, target = torch.rand(2, 2, 3, 10, 12, dtype=torch.float64)
    expected = ((laplacian(restored) - laplacian(target)).square() + 1e-6).sqrt().mean()
    torch.testing.assert_close(edge_loss(restored, target), expected)
    assert edge_loss(target, target).item() == pytest.approx(1e-3)


def test_blurring_costs_more_than_darkening() -> None:
    sharp = (torch.rand(1, 3, 32, 32) > 0.5).float()
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
    assert edge_loss(blurred, sharp) > 3 * edge_loss(sharp - (blurred - sharp).abs().mean(), sharp)


def test_nothing_of_a_rejected_pixel_counts() -> None:
    restored, target = torch.rand(2, 1, 3, 12, 12)
    mask = torch.ones(1, 1, 12, 12)
    mask[..., 6:, :] = 0
    changed = target.clone()
    changed[..., 6:, :] = 0
    torch.testing.assert_close(edge_loss(restored, changed, mask), edge_loss(restored, target, mask))
    assert not torch.isclose(edge_loss(restored, changed), edge_loss(restored, target))


def test_gradcheck() -> None:
    restored, target = torch.rand(2, 1, 2, 6, 5, dtype=torch.float64)
    mask = (torch.rand(1, 1, 6, 5) > 0.3).double()
    restored.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda r, t: edge_loss(r, t, mask, eps=0.05), (restored, target))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        edge_loss(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))
