"""The validation images with the lowest PSNR, for inspection."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.functional import interpolate

from jdrl_lightning.callbacks.panels import panel
from jdrl_lightning.callbacks.wandb_run import wandb_of
from jdrl_lightning.types import Pair

__all__ = ["WorstCallback"]

SCORES = ("deformed_gt/psnr", "gt/psnr")  # the first one measured is used; higher is better


class WorstCallback(Callback):
    """At the end of training, even after an error, logs a W&B table ``worst``: the images of the last validation with
    the lowest PSNR, their metrics and a panel. Only images of rank 0 are considered.

    Uses the metrics of :class:`.quality.QualityCallback`, so it must be listed after it.

    Args:
        images: number of images.
        size: longest side of the images in the panel, px.
    """

    def __init__(self, images: int = 8, size: int = 256) -> None:
        self.images, self.size = images, size
        self._worst: list[tuple[float, str, dict[str, float], Any]] = []

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._worst = []

    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Keep an image if it is among the worst so far."""
        if trainer.sanity_checking or wandb_of(trainer) is None or "measures" not in outputs:
            return
        measures = {name: values.tolist() for name, values in outputs["measures"].items()}
        score = next(name for name in SCORES if name in measures)
        pictures = {"blurry": batch.blurry, "restored": outputs["restored"], "sharp": batch.sharp}
        for index, name in enumerate(batch.name):
            figures = {measure: values[index] for measure, values in measures.items()}
            if len(self._worst) == self.images and figures[score] >= self._worst[-1][0]:
                continue
            sheet = panel({title: _downscale(image[index], self.size) for title, image in pictures.items()})
            self._worst.append((figures[score], name, figures, sheet))
            self._worst = sorted(self._worst, key=lambda row: row[0])[: self.images]

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._log(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._log(trainer)

    def _log(self, trainer: L.Trainer) -> None:
        logger = wandb_of(trainer)
        if logger is None or not self._worst:
            return
        import wandb

        columns = ["name", *self._worst[0][2], "blurry, restored, sharp"]
        rows = [[name, *figures.values(), wandb.Image(sheet)] for _, name, figures, sheet in self._worst]
        logger.log_table("worst", columns=columns, data=rows, step=trainer.global_step)


def _downscale(image: Tensor, size: int) -> Tensor:
    factor = min(1.0, size / max(image.shape[-2:]))
    height, width = (max(1, round(factor * side)) for side in image.shape[-2:])
    return interpolate(image[None].float(), (height, width), mode="area")[0]
