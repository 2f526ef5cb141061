from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity

from jdrl_lightning.metrics.fidelity import mae, psnr, ssim

GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@pytest.fixture(scope="module")
def photographs() -> tuple[torch.Tensor, torch.Tensor]:
    """Four cuts out of photographs, and the same degraded in four ways."""
    cuts = [skimage.data.astronaut()[:90, 100:211], skimage.data.coffee()[100:190, 200:311]]
    sharp = (
        torch.stack([torch.from_numpy(cut.copy()).permute(2, 0, 1) for cut in cuts for _ in range(2)]).double() / 255
    )
    generator = torch.Generator().manual_seed(1)
    degraded = [
        torch.nn.functional.avg_pool2d(sharp[0], 5, 1, 2),
        (sharp[1] + 0.03 * torch.randn(sharp[1].shape, generator=generator)).clamp(0, 1),
        sharp[2].roll(1, -1),
        torch.rand(sharp[3].shape, generator=generator, dtype=torch.float64),
    ]
    return torch.stack(degraded), sharp


def _each(function, restored: torch.Tensor, sharp: torch.Tensor, **settings) -> np.ndarray:  # type: ignore[no-untyped-def]
    images = (x.permute(0, 2, 3, 1).numpy() for x in (restored, sharp))
    return np.array([function(s, r, **settings) for r, s in zip(*images, strict=True)])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_equal_to_scikit_image(
    photographs: tuple[torch.Tensor, torch.Tensor], dtype: torch.dtype, tolerance: float
) -> None:
    restored, sharp = photographs
    given = restored.to(dtype), sharp.to(dtype)
    expected = {
        psnr: _each(peak_signal_noise_ratio, restored, sharp, data_range=1),
        ssim: _each(structural_similarity, restored, sharp, data_range=1, channel_axis=-1),
        mae: np.array([np.abs(r - s).mean() for r, s in zip(restored.numpy(), sharp.numpy(), strict=True)]),
    }
    for metric, values in expected.items():
        measured = metric(*given)
        assert measured.dtype == dtype
        assert measured.shape == (4,)
        np.testing.assert_allclose(measured.numpy(), values, rtol=0, atol=tolerance * (10 if metric is psnr else 1))
    wang = _each(structural_similarity, restored, sharp, data_range=1, channel_axis=-1, **GAUSSIAN)
    np.testing.assert_allclose(ssim(*given, window="gaussian").numpy(), wang, rtol=0, atol=tolerance)
    assert np.abs(wang - expected[ssim]).max() > 1e-3  # the two conventions are not interchangeable


def test_psnr_is_averaged_over_images_not_pooled(photographs: tuple[torch.Tensor, torch.Tensor]) -> None:
    restored, sharp = photographs
    pooled = -10 * np.log10(mean_squared_error(sharp.numpy(), restored.numpy()))
    assert psnr(restored, sharp).mean().item() > pooled + 1


def test_values_do_not_depend_on_the_batch(photographs: tuple[torch.Tensor, torch.Tensor]) -> None:
    restored, sharp = photographs
    for metric in (psnr, ssim, mae):
        alone = torch.cat([metric(r[None], s[None]) for r, s in zip(restored, sharp, strict=True)])
        torch.testing.assert_close(metric(restored, sharp), alone, rtol=0, atol=1e-12)


def test_data_range_is_one_even_below_zero() -> None:
    """scikit-image guesses a range of 2 as soon as one value is negative, which is worth 6 dB."""
    sharp = torch.full((1, 3, 8, 8), 0.5)
    assert psnr(sharp - 0.6, sharp).item() == pytest.approx(-20 * np.log10(0.6), abs=1e-4)


def test_equal_images() -> None:
    image = torch.rand(2, 3, 16, 16)
    assert (psnr(image, image) == torch.inf).all()
    assert (mae(image, image) == 0).all()
    torch.testing.assert_close(ssim(image, image), torch.ones(2))


@pytest.mark.parametrize(("window", "size"), [("uniform", 7), ("gaussian", 11)])
def test_smallest_image(window: str, size: int) -> None:
    image = torch.rand(1, 3, size, size)
    assert ssim(image, image, window).item() == pytest.approx(1)
    with pytest.raises(ValueError, match=f"at least {size}"):
        ssim(image[..., 1:], image[..., 1:], window)


@pytest.mark.parametrize("metric", [psnr, ssim, mae])
def test_wrong_input_is_refused(metric) -> None:  # type: ignore[no-untyped-def]
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="must both be"):
        metric(image, image[:, :1])
    with pytest.raises(ValueError, match="floats"):
        metric((image * 255).byte(), (image * 255).byte())


def test_unknown_window() -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="'box'"):
        ssim(image, image, "box")
