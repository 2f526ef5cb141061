"""Panels of validation images with the objective's maps and the network's: aligned sharp image, flow, mask, blur."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image, ImageDraw
from torch import Tensor

from jdrl_lightning.flow.color import flow_to_rgb
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.types import Pair, Restored

__all__ = ["PanelCallback", "middle", "panel"]

LABEL_PX = 16
WHITE_PX = 10.0  # radius of the circle of confusion that is drawn white


def panel(pictures: Mapping[str, Tensor]) -> Image.Image:
    """Put ``(3, H, W)`` or ``(1, H, W)`` images in [0, 1] side by side, each labelled with its name."""
    height, width = next(iter(pictures.values())).shape[-2:]
    sheet = Image.new("RGB", (len(pictures) * (width + 4) - 4, height + LABEL_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(pictures.items()):
        pixels = picture.detach().float().cpu().clamp(0, 1).expand(3, height, width)
        left = column * (width + 4)
        sheet.paste(Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).numpy()), (left, LABEL_PX))
        draw.text((left + 2, 2), name, fill="black")
    return sheet


class PanelCallback(Callback):
    """Writes ``panels/epoch_<n>_<name>.png``: blurry, restored, sharp, aligned sharp, flow as colour, mask, reblurred,
    and the radius of the blur that the network predicts, if it does, beside the true one, if there is: white is 10 px.

    Args:
        folder: output folder.
        every_n_epochs: interval; 0 for never.
        images: number of validation images, from the first on.
        size: side of the centre crop to show, px.
    """

    def __init__(self, folder: str, every_n_epochs: int = 5, images: int = 2, size: int = 256) -> None:
        self.folder, self.every_n_epochs, self.images, self.size = Path(folder), every_n_epochs, images, size

    @torch.no_grad()
    def on_validation_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Draw one panel, on rank 0 only."""
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or not due or batch_idx >= self.images or not trainer.is_global_zero:
            return
        restored = outputs["restored"].to(batch.blurry.dtype)
        objective: Any = pl_module.objective
        maps = objective(Restored((restored,), {}), batch, objective.schedule.at(trainer.current_epoch)).maps
        pictures = {"blurry": batch.blurry, "restored": restored, "sharp": batch.sharp}
        for name in ("aligned", "flow", "mask", "reblurred"):
            if name in maps:
                pictures[name] = flow_to_rgb(maps[name]) if name == "flow" else maps[name]
        for name, radius in (("blur map", outputs.get("coc")), ("true blur", batch.extras.get("coc"))):
            if radius is not None and "coc" in outputs:
                pictures[name] = radius[..., : restored.shape[-2], : restored.shape[-1]] / WHITE_PX
        sheet = panel({name: middle(value[0], self.size) for name, value in pictures.items()})
        name = batch.name[0] if isinstance(batch.name, Sequence) else str(batch_idx)
        stem = f"epoch_{trainer.current_epoch:04d}_{re.sub(r'[^A-Za-z0-9._-]+', '_', name)}"
        with atomic_write(self.folder / f"{stem}.png") as file:
            sheet.save(file, "PNG")
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):
                logger.log_image(key=f"panels/{name}", images=[np.asarray(sheet)], step=trainer.global_step)


def middle(picture: Tensor, size: int) -> Tensor:
    """Centre crop of ``(..., H, W)``, at most ``size`` pixels per side."""
    height, width = picture.shape[-2:]
    top, left = max(0, (height - size) // 2), max(0, (width - size) // 2)
    return picture[..., top : top + size, left : left + size]
