"""The small filters, against known statistics and scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from jdrl_lightning.flow.filters import (
    gradient,
    mean_over,
    robust_scale,
    robust_weight,
    smooth,
    texture,
)


def test_texture_of_a_ramp_and_of_what_is_blurred(photo: Tensor) -> None:
    ramp = (0.5 * torch.arange(40.0)).expand(1, 1, 30, 40)
    along_x = (38 * 0.5**2 + 2 * 0.25**2) / 40  # half the slope at the two edges
    assert texture(ramp).item() == pytest.approx(along_x / 2)
    image = photo[None, :1, :64, :64].float() / 255
    assert texture(smooth(image, 2.0)) < texture(image) / 2


def test_robust_scale_is_the_standard_deviation_of_noise_where_it_is_valid() -> None:
    noise = 0.3 * torch.randn(2, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    valid = torch.ones_like(noise)
    noise[..., :20, :], valid[..., :20, :] = 50.0, 0.0
    torch.testing.assert_close(robust_scale(noise, valid).flatten(), torch.full((2,), 0.3), rtol=0.02, atol=0)


def test_the_gradient_is_numpys_inside() -> None:
    image = torch.rand(1, 1, 9, 12, dtype=torch.float64)
    by_y, by_x = np.gradient(image[0, 0].numpy())
    found = gradient(image)[0].numpy()
    np.testing.assert_allclose(found[0][:, 1:-1], by_x[:, 1:-1])
    np.testing.assert_allclose(found[1][1:-1], by_y[1:-1])
    np.testing.assert_allclose(found[0][:, 0], by_x[:, 0] / 2)  # half the slope at the edges


def test_weighted_means_are_numpys() -> None:
    image, weight = torch.rand(2, 3, 5, 6, dtype=torch.float64), torch.rand(2, 1, 5, 6, dtype=torch.float64)
    found = mean_over(image, weight)
    for sample, channel in np.ndindex(2, 3):
        expected = np.average(image[sample, channel].numpy(), weights=weight[sample, 0].numpy())
        assert found[sample, channel].item() == pytest.approx(expected)
    assert not mean_over(image, torch.zeros_like(weight)).any()


def test_outliers_have_little_weight() -> None:
    """Geman-McClure with twice the standard deviation, estimated over the valid pixels."""
    residual = torch.tensor([0.0, 2.0, -2.0, 8.0, 3.0]).view(1, 1, 1, 5)
    valid = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 5)
    scale = 1.25 * (2 + 2 + 8) / 4
    expected = [1 / (1 + (r / (2 * scale)) ** 2) ** 2 for r in (0, 2, 2, 8)] + [0]
    torch.testing.assert_close(robust_weight(residual, valid).flatten(), torch.tensor(expected))


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("size", [(12, 9), (128, 100), (129, 40)], ids=["small", "matrix", "shifts"])
def test_smooth_is_scipy_s_gaussian(size: tuple[int, int], sigma: float, photo: Tensor) -> None:
    image = photo[None, :, : size[0], : size[1]].double() / 255
    expected = [gaussian_filter(channel.numpy(), sigma, mode="nearest", truncate=3.0) for channel in image[0]]
    torch.testing.assert_close(smooth(image, sigma)[0], torch.stack([torch.from_numpy(x) for x in expected]))
    turned = smooth(image.to(memory_format=torch.channels_last), sigma)
    torch.testing.assert_close(turned, smooth(image, sigma))


def test_what_a_validation_made_first_serves_training(photo: Tensor) -> None:
    image = photo[None, :1, :17, :19].float() / 255
    with torch.inference_mode():
        smooth(image, 1.7)
    image.requires_grad_()
    smooth(image, 1.7).sum().backward()
    assert image.grad is not None
