"""Keeps non-finite losses and gradients out of the weights and the checkpoints."""

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

IN_A_ROW = 20  # consecutive skipped steps after which training stops


class DivergenceCallback(Callback):
    """Zeroes the gradient of a step if it is not finite, or if the loss is not finite or above ``max_loss``; then stops
    the training, or skips such steps, naming the images.

    The gradient is zeroed on the device. With a GPU, the host checks for bad steps only where it synchronizes anyway:
    at logged steps, before a checkpoint and at an epoch's end. With ``16-mixed``, GradScaler handles non-finite
    gradients itself.

    Args:
        on_divergence: ``stop`` or ``skip``; ``skip`` too stops after 20 consecutive steps.
        max_loss: upper bound of the loss; for images in [0, 1], 100 is far above that of any converging objective.

    Raises:
        UserError: an unknown ``on_divergence``, or a bound that is not positive.
    """

    def __init__(self, on_divergence: str = "stop", max_loss: float = 100.0) -> None:
        if on_divergence not in ("stop", "skip"):
            raise UserError(f"callbacks.divergence.on_divergence={on_divergence!r} is neither stop nor skip")
        if not max_loss > 0:
            raise UserError(f"callbacks.divergence.max_loss={max_loss} is not positive; the default is 100")
        self.skip, self.max_loss = on_divergence == "skip", float(max_loss)
        self._bad_losses: list[Tensor] = []  # one flag for each batch since the last step, on this rank
        self._names: list[str] = []
        self._steps: list[
            tuple[str, list[str], Tensor]
        ] = []  # unchecked: epoch and step, names, (bad, bad on this rank)
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
        self._bad_losses.append(~(loss <= self.max_loss))  # true for NaN too

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Flag a bad step and zero its gradient, both on the device."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        bad_here = torch.stack(self._bad_losses).any()
        bad = bad_here.clone()
        if gradients and getattr(trainer.precision_plugin, "scaler", None) is None:
            bad |= ~torch.isfinite(get_total_norm(gradients))
        if trainer.world_size > 1:
            shared = bad.to(torch.int32)
            distributed.all_reduce(shared, distributed.ReduceOp.MAX)
            bad = shared.bool()
        for gradient in gradients:
            gradient.masked_fill_(bad, 0)  # multiplying by 0 would keep NaN
        step = f"epoch {trainer.current_epoch}, step {trainer.global_step}"
        self._steps.append((step, self._names, torch.stack([bad, bad_here])))
        self._bad_losses, self._names = [], []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Pair, batch_idx: int
    ) -> None:
        every: int = getattr(trainer, "log_every_n_steps", 1)  # set by Lightning, but not declared
        if pl_module.device.type == "cpu" or (every and batch_idx % every == 0):
            self._check(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._check(trainer)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuse to replace a good checkpoint by one with non-finite weights."""
        self._check(trainer)
        weights = [value for value in pl_module.state_dict().values() if value.is_floating_point()]
        if not torch.isfinite(get_total_norm(weights)):
            raise UserError(f"epoch {trainer.current_epoch}: the weights are not finite; {_remedy(trainer)}")

    def _check(self, trainer: L.Trainer) -> None:
        """Read the flags of all steps since the last check from the device."""
        steps, self._steps = self._steps, []
        if not steps:
            return
        flags = torch.stack([step[2] for step in steps]).tolist()
        for (step, names, _), (bad, bad_here) in zip(steps, flags, strict=True):
            self._in_a_row = self._in_a_row + 1 if bad else 0
            if bad:
                self._report(trainer, step, _all_names(trainer, names, bad_here))

    def _report(self, trainer: L.Trainer, step: str, names: list[str]) -> None:
        bound = f" or is above {self.max_loss:g}" if math.isfinite(self.max_loss) else ""
        message = f"{step}: the loss or its gradient is not finite{bound} on {', '.join(names)}"
        if not self.skip:
            raise UserError(f"{message}; {_remedy(trainer)}, or set callbacks.divergence.on_divergence=skip")
        if self._in_a_row >= IN_A_ROW:
            raise UserError(f"{message}, the last of {self._in_a_row} consecutive such steps; {_remedy(trainer)}")
        if trainer.is_global_zero:
            log.warning("%s; skipped", message)


def _remedy(trainer: L.Trainer) -> str:
    saved = f"{trainer.default_root_dir}/checkpoints/last.ckpt"
    return f"lower optim.optimizer.lr, or inspect these images (the last good checkpoint, if any: {saved})"


def _all_names(trainer: L.Trainer, names: list[str], bad_here: bool) -> list[str]:
    """The image names of the ranks with a bad loss; of all ranks if only the gradient is bad."""
    if trainer.world_size == 1:
        return names
    found: list[Any] = [None] * trainer.world_size
    distributed.all_gather_object(found, (bad_here, names))
    bad_names = [name for bad, theirs in found for name in theirs if bad]
    return bad_names or [name for _, theirs in found for name in theirs]
