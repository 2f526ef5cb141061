"""Measures validation and test images on the references that exist."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.flow import create
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics import perceptual
from jdrl_lightning.metrics.protocols import measure

__all__ = ["QualityCallback"]


class QualityCallback(Callback):
    """PSNR, SSIM and MAE against ``gt`` (the given sharp image), ``deformed_gt`` (that image warped by flow onto the
    output) and, where it is known, ``aligned`` (the truth), and the placement error. Logged as means over images.

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

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._log("val", trainer, pl_module, outputs, batch)

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._log("test", trainer, pl_module, outputs, batch)

    def _log(self, split: str, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any) -> None:
        values = measure(outputs["restored"], batch, self.flow, self.lpips_weights)
        means = {f"{split}/{name}": value.mean() for name, value in values.items()}
        pl_module.log_dict(
            means, on_step=False, on_epoch=True, batch_size=len(batch.blurry), sync_dist=trainer.world_size > 1
        )
