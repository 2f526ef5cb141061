"""One training in this process: from a plain configuration to the files under the run's folder."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from jdrl_lightning import build
from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from jdrl_lightning.callbacks.find_checkpoint import LeaveFolder, latest_checkpoint
from jdrl_lightning.callbacks.summary import SummaryCallback
from jdrl_lightning.callbacks.wandb_run import WandbRun, finish, identified
from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.errors import INTERRUPTED, UserError, first_line
from jdrl_lightning.io.atomic import clear_temporaries
from jdrl_lightning.module import DeblurringModule
from jdrl_lightning.runtime import distributed
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.training import out_of_memory

__all__ = ["fit"]

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What to train, where its files go, and what it resumes from (None: nothing).

    ``started_in`` is the folder made for this start; it differs from ``run_dir`` where an earlier run is resumed.
    """

    config: dict[str, Any]
    run_dir: Path
    started_in: Path
    checkpoint: Path | None
    identity: str


def fit(config: dict[str, Any], run_dir: Path) -> dict[str, float]:
    """Train what the plain ``config`` describes and leave everything under ``run_dir``.

    Returns:
        The final metrics; empty on every rank but the first.

    Raises:
        UserError: a setting, the data, the checkpoint or the device does not allow this training.
    """
    _silence_lightning()
    keep_freed_memory()
    seed = config["seed"]
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed!r} is not a whole number from 0 to {2**32 - 1}; give seed=0")
    L.seed_everything(seed, workers=True, verbose=False)
    run = find_checkpoint(config, run_dir)
    module, data = build_module_and_data(run)
    summary = SummaryCallback(run.run_dir / "summary.json", run.identity)
    trainer = build_trainer(run, module, summary)
    train(run, trainer, module, data)
    log.info("results: %s", run.run_dir)
    return summary.metrics() if trainer.is_global_zero else {}


def find_checkpoint(config: dict[str, Any], run_dir: Path) -> Run:
    """Resolve ``ckpt_path`` (None, a file, or ``auto``) and the folder that the training continues in."""
    identity, started_in = config_hash(config), run_dir
    checkpoint = config["ckpt_path"]
    if checkpoint == "auto":
        checkpoint = latest_checkpoint(run_dir, identity)
        if checkpoint is None:
            log.info("ckpt_path=auto: no checkpoint to resume from, training from scratch")
        elif run_dir not in checkpoint.parents:
            config, run_dir = _continue_in(config, run_dir, checkpoint.parents[1])
    if distributed.rank() == 0:
        clear_temporaries(run_dir)
    return Run(config, run_dir, started_in, Path(checkpoint) if checkpoint else None, identity)


def build_module_and_data(run: Run) -> tuple[DeblurringModule, Any]:
    """Build both and check that they can be trained together."""
    module = build.module(run.config)  # before the data, which may take minutes to render or to check
    _check_start(module, run)
    data = build.datamodule(run.config)
    data.setup("fit")
    _check_truth(module, data)
    if run.checkpoint:
        build.check_fit(module, run.checkpoint)
        log.info("resuming from %s", run.checkpoint)
    return module, data


def build_trainer(run: Run, module: DeblurringModule, summary: SummaryCallback) -> L.Trainer:
    """The trainer with the callbacks and loggers of the config, and those that every run has."""
    callbacks = [*build.parts(run.config["callbacks"]), summary, WandbRun(run.config)]
    if run.started_in != run.run_dir:
        callbacks.append(LeaveFolder(run.started_in))
    loggers = build.parts(identified(run.config["logger"], run.checkpoint, run.run_dir))
    settings = dict(run.config["trainer"])
    try:
        settings["strategy"] = build.strategy(settings, module)
        return L.Trainer(
            **settings,
            callbacks=callbacks,
            logger=loggers,
            plugins=[AtomicCheckpointIO()],
            default_root_dir=str(run.run_dir),
            use_distributed_sampler=False,  # the data module shares pairs out by rank itself
        )
    except Exception as error:  # Lightning has many kinds for settings that it refuses
        asked = ", ".join(f"trainer.{key}={settings.get(key)}" for key in ("accelerator", "devices", "precision"))
        raise UserError(
            f"trainer: {first_line(error)} (asked for: {asked}); change what this machine or Lightning lacks"
        ) from error


def train(run: Run, trainer: L.Trainer, module: DeblurringModule, data: Any) -> None:
    """Measure what the objective needs of the pairs, then train; errors end in one line, loggers are closed."""
    if (estimator := getattr(module.objective, "picture_flow", None)) is not None:
        data.measure(estimator, trainer.strategy.root_device)
    checkpoint = str(run.checkpoint) if run.checkpoint else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except torch.OutOfMemoryError as error:
        raise UserError(out_of_memory.what_helps(run.config)) from error
    except MisconfigurationException as error:  # of a checkpoint and settings that do not go together
        raise UserError(f"trainer: {first_line(error)}") from error
    except SystemExit as error:
        if trainer.interrupted and error.code == 1:  # Lightning's answer to Ctrl-C
            saved = any((run.run_dir / "checkpoints").glob("*.ckpt"))
            remedy = "resume with the same command and ckpt_path=auto" if saved else "nothing was saved yet"
            log.info("stopped; %s", remedy)
            raise SystemExit(INTERRUPTED) from None
        raise
    finally:
        # After an error in a validation Lightning leaves the training's loading processes, which Python would wait for.
        trainer.fit_loop.teardown()
        finish(trainer)


def _check_start(module: DeblurringModule, run: Run) -> None:
    """Refuse to freeze an untrained network."""
    backbone = run.config["backbone"]
    if run.checkpoint or backbone.get("weights") or backbone.get("path"):  # path: spandrel's network with its weights
        return
    if "backbone" in module.objective.schedule.at(0).frozen:
        raise UserError("the first stage freezes the backbone: set backbone.weights=<file>")


def _check_truth(module: DeblurringModule, data: Any) -> None:
    """Refuse pairs without a truth that the objective takes from them."""
    if getattr(module.objective, "target", "sharp") == "aligned" and "aligned" not in data.pairs("train")[0].extras:
        raise UserError("objective.target=aligned needs pairs that carry the truth; use data=photos or data=leaves")
    if not getattr(getattr(module.objective, "flow", None), "uses_truth", False):
        return
    needed = any(stage.flow_source != "none" for stage in module.objective.schedule.stages)
    if needed and "flow" not in data.pairs("train")[0].extras:
        raise UserError("flow=oracle needs pairs that carry their true flow; use data=photos or data=leaves")


def _silence_lightning() -> None:
    """Leave out Lightning's advertisements and warnings that are not about the user's run."""
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    # Ours converts integers for any data module on purpose.
    warnings.filterwarnings("ignore", message="You have overridden `on_after_batch_transfer`")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")  # inside Lightning, with torch >= 2.11
    warnings.filterwarnings("ignore", message=".*does not have many workers")  # rendered pairs lie in memory
    # Our batch sampler knows where to resume; Lightning only looks for a loader with a state.
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")
    # What is logged without it is the same in all processes, or is meant to be the first one's.
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log")


def _continue_in(config: dict[str, Any], fresh: Path, earlier: Path) -> tuple[dict[str, Any], Path]:
    """Write to the earlier run's folder from here on, the log included."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        moved = logging.FileHandler(earlier / Path(handler.baseFilename).name, delay=handler.delay)
        moved.setFormatter(handler.formatter)
        moved.setLevel(handler.level)
        root.removeHandler(handler)
        root.addHandler(moved)
        handler.close()
    return _replace(config, str(fresh), str(earlier)), earlier


def _replace(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replace(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value
