"""torchmetrics' own figures and scikit-image's, averaged over images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn.functional import avg_pool2d
from torchmetrics import MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

from jdrl_lightning.metrics import LPIPS, MAE, PSNR, SSIM, lpips, psnr

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
Batch = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    """Two photographs and a larger one, with noise and blur: far apart in every figure."""
    generator = torch.Generator().manual_seed(0)
    cuts = [[skimage.data.astronaut()[:64, 100:160], skimage.data.coffee()[100:164, 200:260]], [skimage.data.chelsea()]]
    made = []
    for number, images in enumerate(cuts):
        sharp = torch.stack([torch.from_numpy(image.copy()).permute(2, 0, 1) for image in images]).float() / 255
        noise = 0.02 * (1 + 3 * number) * torch.randn(sharp.shape, generator=generator)
        made.append((avg_pool2d((sharp + noise).clamp(0, 1), 5, 1, 2), sharp))
    return made


def images(batches: list[Batch]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        (r.permute(1, 2, 0).double().numpy(), s.permute(1, 2, 0).double().numpy())
        for restored, sharp in batches
        for r, s in zip(restored, sharp, strict=True)
    ]


def over(metric, batches: list[Batch]) -> float:  # type: ignore[no-untyped-def]
    for batch in batches:
        metric.update(*batch)
    return float(metric.compute())


def test_psnr_is_torchmetrics_own(batches: list[Batch]) -> None:
    """Over one image each: over many, the default pools the squared error of all pixels."""
    each = [
        over(PeakSignalNoiseRatio(data_range=1.0), [(r[None], s[None])])
        for b in batches
        for r, s in zip(*b, strict=True)
    ]
    assert over(PSNR(), batches) == pytest.approx(np.mean(each), abs=1e-4)
    expected = np.mean([peak_signal_noise_ratio(sharp, restored, data_range=1) for restored, sharp in images(batches)])
    assert over(PSNR(), batches) == pytest.approx(expected, abs=1e-4)
    assert over(PSNR(), batches) == pytest.approx(
        float(torch.cat([psnr(*batch) for batch in batches]).mean()), abs=1e-5
    )


@pytest.mark.parametrize(("window", "settings"), [("uniform", {}), ("gaussian", WANG)])
def test_ssim_is_that_of_scikit_image(batches: list[Batch], window: str, settings: dict[str, object]) -> None:
    expected = [
        structural_similarity(sharp, restored, data_range=1, channel_axis=-1, **settings)
        for restored, sharp in images(batches)
    ]
    metric = SSIM(window)
    assert over(metric, batches) == pytest.approx(np.mean(expected), abs=1e-5)
    theirs = StructuralSimilarityIndexMeasure(gaussian_kernel=window == "gaussian", kernel_size=7, data_range=1.0)
    assert abs(over(theirs, batches) - np.mean(expected)) > 1e-3


def test_mae_is_averaged_over_images_not_pixels(batches: list[Batch]) -> None:
    each = [np.abs(restored - sharp).mean() for restored, sharp in images(batches)]
    pooled = np.concatenate([np.abs(restored - sharp).ravel() for restored, sharp in images(batches)]).mean()
    assert over(MAE(), batches) == pytest.approx(np.mean(each), abs=1e-6)
    assert abs(np.mean(each) - pooled) > 1e-3


def test_lpips_keeps_its_network_out_of_checkpoints(batches: list[Batch], tmp_path: Path) -> None:
    torch.manual_seed(0)
    trunk = torchvision.models.AlexNet().features.state_dict()
    torch.save({f"features.{key}": value for key, value in trunk.items()}, tmp_path / "trunk.pth")
    metric = LPIPS(tmp_path / "trunk.pth")
    expected = torch.cat([lpips(*batch, tmp_path / "trunk.pth") for batch in batches]).mean()
    assert over(metric, batches) == pytest.approx(float(expected), abs=1e-6)
    assert not metric.state_dict()
    assert not list(metric.parameters())


@pytest.mark.parametrize("metric", [PSNR, SSIM, MAE])
def test_a_batch_has_its_own_value_and_reset_forgets(metric, batches: list[Batch]) -> None:  # type: ignore[no-untyped-def]
    made = metric()
    values = [float(made(*batch)) for batch in batches]
    assert values == [pytest.approx(over(metric(), [batch]), abs=1e-6) for batch in batches]
    assert float(made.compute()) == pytest.approx((2 * values[0] + values[1]) / 3, abs=1e-5)
    made.reset()
    assert over(made, batches[1:]) == pytest.approx(values[1], abs=1e-6)


@pytest.mark.parametrize("metric", [PSNR, SSIM, MAE])
def test_nan_is_not_left_out(metric, batches: list[Batch]) -> None:  # type: ignore[no-untyped-def]
    broken = (torch.full((1, 3, 16, 16), torch.nan), torch.zeros(1, 3, 16, 16))
    assert np.isnan(over(metric(), [*batches, broken]))


@pytest.mark.parametrize("metric", [PSNR, SSIM, MAE])
def test_wrong_images_are_refused(metric) -> None:  # type: ignore[no-untyped-def]
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(ValueError, match="must both be"):
        metric().update(image, image[:, :1])
    with pytest.raises(ValueError, match="floats"):
        metric().update((image * 255).byte(), (image * 255).byte())


def test_equal_first_batches_do_not_make_two_metrics_one(batches: list[Batch]) -> None:
    """A MetricCollection updates only one of those whose states are equal after the first batch."""

    class HalfMAE(MAE):
        def transform(self, restored: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor]:
            return (super().transform(restored, other)[0] / 2,)

    together = MetricCollection({"mae": MAE(), "half_mae": HalfMAE()})
    for batch in [(batches[0][1], batches[0][1]), *batches]:
        together.update(*batch)
    values = together.compute()
    assert values["mae"] > 0
    assert float(values["half_mae"]) == pytest.approx(float(values["mae"]) / 2)
