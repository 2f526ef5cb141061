from __future__ import annotations

import torch
from skimage.metrics import peak_signal_noise_ratio

from jdrl_lightning.losses.psnr import psnr_loss


def test_minus_the_mean_psnr_of_scikit_image() -> None:
    restored, target = torch.rand(2, 3, 3, 12, 16, dtype=torch.float64)
    pairs = zip(restored.numpy(), target.numpy(), strict=True)
    expected = -sum(peak_signal_noise_ratio(sharp, image, data_range=1) for image, sharp in pairs) / 3
    assert abs(float(psnr_loss(restored, target)) - expected) < 1e-6


def test_equal_images_have_a_finite_loss_and_gradient() -> None:
    image = torch.rand(1, 3, 8, 8, requires_grad=True)
    loss = psnr_loss(image, image.detach())
    loss.backward()
    assert float(loss.detach()) == -80
    assert image.grad is not None
    assert image.grad.isfinite().all()
