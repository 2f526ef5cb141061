"""Warns if the network has hardly moved, or has moved away from the sharp image."""

from __future__ import annotations

import logging

import lightning as L
from lightning.pytorch.callbacks import Callback

from jdrl_lightning.callbacks.stages import schedule_of

__all__ = ["MOVED", "LearningCallback"]

log = logging.getLogger(__name__)

MOVED = 0.5  # mean change by the network from which on it does more than rounding to 8 bits, levels
JUDGED = 200  # steps from which on a training can be judged at all
FEW = 1000  # steps below which their number is a likely reason
LOW = 1e-4  # learning rate below which it is a likely reason
UNLIMITED = 20  # epochs, by which a training without an end is judged
REFERENCES = ("aligned", "deformed_gt", "gt")  # the first one measured counts; gt forgives no displacement


class LearningCallback(Callback):
    """Warns once, with the likely reason, by the figures of :class:`.quality.QualityCallback`, so it comes after it.

    A network that starts as the identity needs time: a change below half an 8-bit level counts from half of the epochs
    on, a loss against the untouched input from the last stage on, and after a tenth of the epochs; nothing does in the
    first ``JUDGED`` steps, of which a trial run has no more.
    """

    def __init__(self) -> None:
        self.warned = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        gain = next((figures[key] for name in REFERENCES if (key := f"val/{name}/gain") in figures), None)
        trained = trainer.is_global_zero and trainer.optimizers and not trainer.sanity_checking
        if self.warned or not trained or gain is None:
            return
        done, asked = trainer.current_epoch + 1, trainer.max_epochs or -1
        asked = asked if asked > 0 else UNLIMITED
        joint = schedule_of(pl_module).stages[-1].start
        group = trainer.optimizers[0].param_groups[0]
        rate = float(group.get("initial_lr", group["lr"]))  # before its schedule
        follows = "train/flow_px" in figures or getattr(pl_module.objective, "target", "") == "aligned"
        line = reason(figures["val/change"], gain, trainer.global_step, rate, follows)
        still, late = figures["val/change"] < MOVED, done > joint and done >= 0.1 * asked
        if line is not None and (done >= asked / 2 if still else late):
            self.warned = True
            log.warning("epoch %d: %s", trainer.current_epoch, line)


def reason(change: float, gain: float, steps: int, rate: float, follows: bool) -> str | None:
    """What is wrong with these figures and why, in one line; None: nothing, or too few steps to judge.

    Args:
        change: mean absolute difference of output and input, 8-bit levels.
        gain: PSNR of the output minus that of the input, dB.
        steps: done so far.
        rate: learning rate, before its schedule.
        follows: whether the objective follows displacement, or has none to follow.
    """
    still = change < MOVED
    if steps < JUDGED or (gain >= 0 and not still):
        return None
    likely = [f"{steps} steps are few (trainer.max_epochs, data.repeat)"] if steps < FEW else []
    if still and rate < LOW:
        likely.append(f"a rate of {rate:g} is low (optim=cosine has 3e-4; optim.optimizer.lr)")
    if not still and not follows:
        likely.append("the pairs are misaligned, which this objective learns (python -m jdrl_lightning.doctor)")
    if not likely:
        likely = [] if still or rate < LOW else [f"a rate of {rate:g} is high (optim.optimizer.lr)"]
        kind = "are hardly blurred or fit badly" if still else "fit badly"
        likely.append(f"the pairs {kind} (python -m jdrl_lightning.doctor)")
    what = (
        f"the output differs from the input by only {change:.2f} of 255 levels after {steps} steps"
        if still
        else f"the output is {-gain:.2f} dB further from the sharp image than the untouched input"
    )
    return f"{what}; likely {', or '.join(likely)}"
