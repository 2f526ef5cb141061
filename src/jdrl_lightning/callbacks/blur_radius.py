"""The blur radius predicted by the reblurring network: near zero or near its upper bound, reblurring does not work."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.callbacks.panels import middle
from jdrl_lightning.callbacks.wandb_run import wandb_of
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.types import Pair

__all__ = ["BlurCallback"]


class BlurCallback(Callback):
    """Logs ``val/blur/mean_px`` and ``val/blur/p95_px``, over the mean radius of each pixel's predicted kernel, and to
    W&B its histogram: for the first validation image, if the objective reblurs with isotropic kernels.

    Args:
        size: side of the centre crop to use, px.
    """

    def __init__(self, size: int = 256) -> None:
        self.size = size

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Predict the kernels again, on rank 0 only."""
        network = getattr(pl_module.objective, "reblur", None)
        if batch_idx or trainer.sanity_checking or not trainer.is_global_zero:
            return
        if not isinstance(network, ReblurNet) or network.kernel == "free":
            return
        restored = outputs["restored"].to(batch.blurry.dtype)  # float32, whatever trainer.precision is
        radius = network.blur_radius(middle(restored, self.size), middle(batch.blurry, self.size)).float()
        figures = {"val/blur/mean_px": radius.mean(), "val/blur/p95_px": radius.quantile(0.95)}
        pl_module.log_dict(figures, batch_size=1, rank_zero_only=True)
        logger = wandb_of(trainer)
        if logger is not None:
            import wandb

            histogram: Any = wandb.Histogram(radius.flatten().tolist())
            logger.log_metrics({"val/blur/histogram": histogram}, step=trainer.global_step)
