"""PSNR, SSIM, MAE and LPIPS as torchmetrics Metrics: means over images, each counted once over all processes."""

from __future__ import annotations

import os
from typing import Any

from torch import Tensor
from torchmetrics import MeanMetric, Metric, MetricCollection
from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure
from torchmetrics.wrappers.abstract import WrapperMetric

from jdrl_lightning.metrics.fidelity import UNIFORM_PX, check_images, mae, ssim
from jdrl_lightning.metrics.perceptual import lpips

__all__ = ["LPIPS", "MAE", "PSNR", "SSIM", "InputTransform", "mean_over_images"]


class PSNR(PeakSignalNoiseRatio):
    """Mean over images of :func:`.fidelity.psnr`: torchmetrics' own, per image and with a data range of 1.

    Counts are kept as floats: from a process that has seen no image torchmetrics gathers an empty tensor of floats,
    and one of integers from the others aborts them all.
    """

    total: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(data_range=1.0, dim=(1, 2, 3), **kwargs)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add images ``(B, C, H, W)``, floating point, in [0, 1]; errors as of :func:`.fidelity.psnr`."""
        check_images(preds, target)
        super().update(preds.to(self.dtype), target.to(self.dtype))
        self.total[-1] = self.total[-1].to(self.dtype)


class SSIM(StructuralSimilarityIndexMeasure):
    """Mean over images of :func:`.fidelity.ssim`, aggregated by torchmetrics.

    Its own differs by up to 0.03: it counts windows that hang over the border, filled by reflection, and has no sample
    covariance. In float32 its 2D convolution also loses up to 2e-4 on bright, smooth images.

    Args:
        window: ``uniform`` (scikit-image's default, what is published) or ``gaussian`` (Wang et al.).
        **kwargs: of every torchmetrics Metric.
    """

    similarity: Tensor
    total: Tensor

    def __init__(self, window: str = "uniform", **kwargs: Any) -> None:
        super().__init__(gaussian_kernel=window == "gaussian", kernel_size=UNIFORM_PX, data_range=1.0, **kwargs)
        self.window = window

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add images ``(B, C, H, W)``, floating point, in [0, 1]; errors as of :func:`.fidelity.ssim`."""
        self.similarity += ssim(preds, target, self.window).sum()
        self.total += len(preds)


class InputTransform(WrapperMetric):
    """A Metric that hands what :meth:`transform` makes of its arguments to another.

    It has no state of its own, so a MetricCollection never takes two of them for one Metric with equal states, as it
    takes any two whose states are alike after the first batch (two errors of 0, say).

    Args:
        metric: the other, which accumulates and is reduced over processes.
    """

    def __init__(self, metric: Metric | MetricCollection) -> None:
        super().__init__()
        self.metric = metric

    def transform(self, restored: Tensor, other: Any) -> tuple[Tensor, ...]:
        """The arguments of the other Metric."""
        raise NotImplementedError

    def result(self, value: Any) -> Any:
        """What the other Metric returned, in this one's form."""
        return value

    def update(self, restored: Tensor, other: Any) -> None:
        """Add a batch."""
        self.metric.update(*self.transform(restored, other))

    def forward(self, restored: Tensor, other: Any) -> Any:
        """Add a batch; returns the result of this batch alone."""
        return self.result(self.metric(*self.transform(restored, other)))

    def compute(self) -> Any:
        """The result of all batches of all processes."""
        return self.result(self.metric.compute())

    def reset(self) -> None:
        """Forget all batches."""
        self.metric.reset()
        super().reset()


def mean_over_images() -> MeanMetric:
    """Of values ``(B,)``; NaN stays NaN instead of being left out, so that a diverged network is not flattered."""
    return MeanMetric(nan_strategy="disable")


class MAE(InputTransform):
    """Mean over images of :func:`.fidelity.mae`; torchmetrics' own averages over pixels, whatever image they are of."""

    higher_is_better = False

    def __init__(self) -> None:
        super().__init__(mean_over_images())

    def transform(self, restored: Tensor, other: Tensor) -> tuple[Tensor]:
        """Images ``(B, C, H, W)``, floating point, in [0, 1]; errors as of :func:`.fidelity.mae`."""
        return (mae(restored, other),)


class LPIPS(InputTransform):
    """Mean over images of :func:`.perceptual.lpips`, AlexNet.

    torchmetrics' own takes no file: it downloads the network on construction, and adds it to the checkpoints of the
    module that holds the Metric. It also gathers a list with an entry for each batch, which aborts processes that have
    seen different numbers of batches.

    Args:
        weights: file of AlexNet's ImageNet weights; None looks where torchvision would have put it.
    """

    higher_is_better = False

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        super().__init__(mean_over_images())
        self.weights = weights

    def transform(self, restored: Tensor, other: Tensor) -> tuple[Tensor]:
        """Images ``(B, 3, H, W)``, RGB; values are clamped to [0, 1]. Errors as of :func:`.perceptual.lpips`."""
        return (lpips(restored, other, self.weights),)
