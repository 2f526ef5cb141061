"""Measures validation and test images on the references that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection, SumMetric

from jdrl_lightning.data.sampler import STAND_IN
from jdrl_lightning.flow import create
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics.fidelity import psnr
from jdrl_lightning.metrics.image_metrics import mean_over_images
from jdrl_lightning.metrics.perceptual import lpips_weights as find_lpips_weights
from jdrl_lightning.metrics.protocols import Protocol
from jdrl_lightning.metrics.references import Quality, quality
from jdrl_lightning.types import Pair

__all__ = ["QualityCallback"]


class QualityCallback(Callback):
    """PSNR, SSIM and MAE against ``gt`` (the given sharp image), ``deformed_gt`` (that image warped by flow onto the
    output) and, where it is known, ``aligned`` (the truth), and the placement error. For each reference also ``gain``,
    the PSNR's over that of the untouched input, dB; and ``change``, the mean absolute difference of output and input,
    8-bit levels. Logged as means over images; the values of each image are left to later callbacks, in
    ``outputs["measures"]``. Nothing is logged if all pairs are padding.

    Args:
        flow: estimator of ``deformed_gt``, or its name and settings; a choice of its own, since the one that trained
            need not judge itself fairly.
        lpips_weights: local file of the AlexNet trunk; None looks where torchvision would have put it, and leaves LPIPS
            out if it is not there.

    Raises:
        UserError: a file was given that does not exist.
    """

    def __init__(self, flow: FlowEstimator | Mapping[str, Any], lpips_weights: str | None = None) -> None:
        self.flow: FlowEstimator = create(**flow) if isinstance(flow, Mapping) else flow
        self.lpips_weights = find_lpips_weights(lpips_weights)
        self._metrics: MetricCollection | None = None
        self._count = SumMetric()  # images measured
        self._more: dict[str, MeanMetric] = {}
        # The input's PSNR against every reference, by loader, batch and name; of the validation, or else of the test.
        self._inputs: dict[tuple[int, int, str], dict[str, Tensor]] = {}

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._metrics = None
        self._more = {}

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.on_validation_epoch_start(trainer, pl_module)
        self._inputs = {}

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Measure image by image; pairs that only pad a process's share count for nothing."""
        if self._metrics is None:  # a padding pair will do: all processes must gather the same figures
            self._metrics = quality(batch, Protocol(), self.flow, self.lpips_weights)
            self._count = SumMetric().to(batch.blurry.device)
            self._more = {name: mean_over_images().to(batch.blurry.device) for name in self._names()}
        images = [_image(outputs["restored"], batch, i) for i, name in enumerate(batch.name) if name != STAND_IN]
        self._count.update(len(images))
        values = [self._metrics(*image) for image in images]
        if values:
            outputs["measures"] = {key: torch.stack([value[key] for value in values]) for key in values[0]}
        for (restored, pair), value in zip(images, values, strict=True):
            key = (dataloader_idx, batch_idx, pair.name[0])
            if key not in self._inputs:
                self._inputs[key] = self._of_input(pair)
            for reference, before in self._inputs[key].items():
                self._more[f"{reference}/gain"].update(_gain(value[f"{reference}/psnr"], before))
            self._more["change"].update(255 * (restored.clamp(0, 1) - pair.blurry).abs().mean())

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("val", pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("test", pl_module)

    def _log(self, split: str, pl_module: L.LightningModule) -> None:
        if self._metrics is not None and self._count.compute():  # of all processes, so that all decide alike
            means = self._metrics.compute() | {name: mean.compute() for name, mean in self._more.items()}
            pl_module.log_dict({f"{split}/{name}": mean for name, mean in means.items()})

    def _references(self) -> list[Quality]:
        metrics = self._metrics.values() if self._metrics is not None else ()
        return [metric for metric in metrics if isinstance(metric, Quality)]

    def _names(self) -> list[str]:
        return [*(f"{metric.name}/gain" for metric in self._references()), "change"]

    def _of_input(self, pair: Pair) -> dict[str, Tensor]:
        """PSNR of the untouched input against every reference, measured once."""
        return {metric.name: psnr(*metric.transform(pair.blurry, pair))[0] for metric in self._references()}


def _gain(restored: Tensor, before: Tensor) -> Tensor:
    """dB; 0 where both are infinite: the input is its reference, and so is the output."""
    return torch.where(torch.isposinf(restored) & torch.isposinf(before), torch.zeros_like(restored), restored - before)


def _image(restored: Tensor, batch: Pair, index: int) -> tuple[Tensor, Pair]:
    """One image and its pair, as batches of one."""
    one = slice(index, index + 1)
    extras = {name: value[one] for name, value in batch.extras.items()}
    return restored[one], Pair(batch.blurry[one], batch.sharp[one], batch.name[one], extras)
