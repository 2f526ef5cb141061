"""A loss or gradient that is no number never reaches the weights, nor the checkpoints."""

from __future__ import annotations

import logging
import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, distributed
from torch.nn.utils import get_total_norm

from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Pair

__all__ = ["DivergenceCallback"]

log = logging.getLogger(__name__)

IN_A_ROW = 20  # skipped steps, after which nothing can be expected of the next


class DivergenceCallback(Callback):
    """Takes the gradient of a step for zero if it is not finite, or if the loss is not finite or above ``max_loss``;
    then stops the training, or skips such steps, naming the images.

    The gradient is replaced on the device. A GPU's host learns of it where it waits for the device anyway: at the steps
    that are logged, before a checkpoint and at an epoch's end. With 16-bit floats (``16-mixed``) the gradients are left
    to PyTorch's scaler, for which one that is not finite is daily work.

    Args:
        on_divergence: ``stop`` or ``skip``; ``skip`` gives up too after 20 steps in a row.
        max_loss: of images in [0, 1], far above what any objective gives before it diverges.

    Raises:
        UserError: another word, or a limit that is not positive.
    """

    def __init__(self, on_divergence: str = "stop", max_loss: float = 100.0) -> None:
        if on_divergence not in ("stop", "skip"):
            raise UserError(f"callbacks.divergence.on_divergence={on_divergence!r} is neither stop nor skip")
        if not max_loss > 0:
            raise UserError(f"callbacks.divergence.max_loss={max_loss} is not positive; leave it at 100")
        self.skip, self.max_loss = on_divergence == "skip", float(max_loss)
        self._here: list[Tensor] = []  # of each batch since the last step: whether its loss is bad
        self._names: list[str] = []
        self._steps: list[tuple[str, list[str], Tensor]] = []  # not yet looked at: place, names, (bad, bad here)
        self._in_a_row = 0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Pair, batch_idx: int
    ) -> None:
        self._names += batch.name

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        loss = loss.detach() * trainer.accumulate_grad_batches
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None:
            loss = loss / scaler.scale(torch.ones_like(loss))
        self._here.append(~(loss <= self.max_loss))  # so that NaN is bad

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Judge the step, and zero its gradient on the device if it is bad."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        here = torch.stack(self._here).any()
        bad = here.clone()
        if gradients and getattr(trainer.precision_plugin, "scaler", None) is None:
            bad |= ~torch.isfinite(get_total_norm(gradients))
        if trainer.world_size > 1:
            shared = bad.to(torch.int32)
            distributed.all_reduce(shared, distributed.ReduceOp.MAX)
            bad = shared.bool()
        for gradient in gradients:
            gradient.masked_fill_(bad, 0)  # a product would keep the NaN
        place = f"epoch {trainer.current_epoch}, step {trainer.global_step}"
        self._steps.append((place, self._names, torch.stack([bad, here])))
        self._here, self._names = [], []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int
    ) -> None:
        every: int = getattr(trainer, "log_every_n_steps", 1)  # which Lightning sets, but does not declare
        if pl_module.device.type == "cpu" or (every and batch_idx % every == 0):
            self._look(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._look(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let no checkpoint take the place of a good one if this one is not."""
        self._look(trainer)
        weights = [value for value in pl_module.state_dict().values() if value.is_floating_point()]
        if not torch.isfinite(get_total_norm(weights)):
            raise UserError(f"epoch {trainer.current_epoch}: the weights are not finite; {_remedy(trainer)}")

    def _look(self, trainer: L.Trainer) -> None:
        """Ask the device about the steps since the last look."""
        steps, self._steps = self._steps, []
        if not steps:
            return
        flags = torch.stack([step[2] for step in steps]).tolist()
        for (place, names, _), (bad, here) in zip(steps, flags, strict=True):
            self._in_a_row = self._in_a_row + 1 if bad else 0
            if bad:
                self._tell(trainer, place, _of_all(trainer, names, here))

    def _tell(self, trainer: L.Trainer, place: str, names: list[str]) -> None:
        limit = f" or is above {self.max_loss:g}" if math.isfinite(self.max_loss) else ""
        told = f"{place}: the loss or its gradient is not finite{limit} on {', '.join(names)}"
        if not self.skip:
            raise UserError(f"{told}; {_remedy(trainer)}, or skip such steps: callbacks.divergence.on_divergence=skip")
        if self._in_a_row >= IN_A_ROW:
            raise UserError(f"{told}, the last of {self._in_a_row} such steps in a row; {_remedy(trainer)}")
        if trainer.is_global_zero:
            log.warning("%s; skipped", told)


def _remedy(trainer: L.Trainer) -> str:
    saved = f"{trainer.default_root_dir}/checkpoints/last.ckpt"
    return f"lower optim.optimizer.lr, or look at these images (the last good checkpoint, if any: {saved})"


def _of_all(trainer: L.Trainer, names: list[str], here: bool) -> list[str]:
    """The names of the processes whose own loss is bad; of all if it is none's, so that the gradient must be."""
    if trainer.world_size == 1:
        return names
    found: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(found, (here, names))
    told = [name for bad, theirs in found for name in theirs if bad]
    return told or [name for _, theirs in found for name in theirs]
