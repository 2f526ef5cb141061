"""Warns if the network has hardly moved, or has moved away from the sharp image."""

from __future__ import annotations

import logging

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.callbacks.stages import schedule_of

__all__ = ["MOVED", "LearningCallback"]

log = logging.getLogger(__name__)

MOVED = 0.5  # mean change by the network from which on it does more than rounding to 8 bits, levels
FEW = 1000  # steps
UNLIMITED = 20  # epochs, by which a training without an end is judged
REFERENCES = ("aligned", "deformed_gt", "gt")  # the first one measured counts; gt forgives no displacement


class LearningCallback(Callback):
    """Warns once, with the likely reason, by the figures of :class:`.quality.QualityCallback`, so it comes after it.

    A network that starts as the identity needs time: a change below half an 8-bit level counts from half of the epochs
    on, a loss against the untouched input from the last stage on, and after a tenth of the epochs.
    """

    def __init__(self) -> None:
        self.warned = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        gain = next((figures[key] for name in REFERENCES if (key := f"val/{name}/gain") in figures), None)
        if self.warned or trainer.sanity_checking or not trainer.is_global_zero or gain is None:
            return
        done, asked = trainer.current_epoch + 1, trainer.max_epochs or -1
        asked = asked if asked > 0 else UNLIMITED
        joint = schedule_of(pl_module).stages[-1].start
        line = reason(figures["val/change"], gain, trainer.global_step, figures.get("train/flow_px") is not None)
        still, late = figures["val/change"] < MOVED, done > joint and done >= 0.1 * asked
        if line is not None and (done >= asked / 2 if still else late):
            self.warned = True
            log.warning("epoch %d: %s", trainer.current_epoch, line)


def reason(change: float, gain: float, steps: int, warps: bool) -> str | None:
    """What is wrong with these figures and why, in one line; None: nothing.

    Args:
        change: mean absolute difference of output and input, 8-bit levels.
        gain: PSNR of the output minus that of the input, dB.
        steps: done so far.
        warps: whether the objective follows displacement.
    """
    more = "more steps (trainer.max_epochs, data.repeat)"
    if change < MOVED:
        return (
            f"the output differs from the input by only {change:.2f} of 255 levels after {steps} steps: it has hardly "
            f"learnt anything; try {more} or a higher rate (optim=cosine)"
        )
    if gain >= 0:
        return None
    if not warps:
        why = "the pairs are misaligned, which this objective learns (python -m jdrl_lightning.doctor measures it)"
    elif steps < FEW:
        why = f"{steps} steps are too few: {more}"
    else:
        why = "the rate is too high (optim.optimizer.lr), or the pairs fit badly (python -m jdrl_lightning.doctor)"
    return f"the output is {-gain:.2f} dB further from the sharp image than the untouched input; likely {why}"
