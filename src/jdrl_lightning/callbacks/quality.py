"""Measures validation and test images on the references that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from jdrl_lightning.data.sampler import STAND_IN
from jdrl_lightning.flow import create
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics import perceptual
from jdrl_lightning.metrics.protocols import measure

__all__ = ["QualityCallback"]


class QualityCallback(Callback):
    """PSNR, SSIM and MAE against ``gt`` (the given sharp image), ``deformed_gt`` (that image warped by flow onto the
    output) and, where it is known, ``aligned`` (the truth), and the placement error. Logged as means over images; the
    values of each image are left to later callbacks, in ``outputs["measures"]``.

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
        self.lpips_weights = perceptual.lpips_weights(lpips_weights)
        self._sums: dict[str, Tensor] = {}
        self._count = torch.zeros(())

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sums, self._count = {}, torch.zeros((), device=pl_module.device)

    on_test_epoch_start = on_validation_epoch_start

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Measure the images, those aside that only let all processes take equally many."""
        values = measure(outputs["restored"], batch, self.flow, self.lpips_weights)
        outputs["measures"] = values
        counted = torch.tensor([name != STAND_IN for name in batch.name], device=pl_module.device)
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0) + torch.where(counted, value, 0).sum()
        self._count = self._count + counted.sum()

    on_test_batch_end = on_validation_batch_end

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("val", trainer, pl_module)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log("test", trainer, pl_module)

    def _log(self, split: str, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Log the means over the images of all processes; Lightning's ``sync_dist`` rounds their number down."""
        if not self._sums:
            return
        sums = torch.stack([*self._sums.values(), self._count])
        sums = trainer.strategy.reduce(sums, reduce_op="sum")
        means = (sums[:-1] / sums[-1]).unbind()
        pl_module.log_dict({f"{split}/{name}": mean for name, mean in zip(self._sums, means, strict=True)})
