"""One training in this process: from a plain configuration to the files under the run's folder."""

from __future__ import annotations

import logging
import math
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from jdrl_lightning import build
from jdrl_lightning.callbacks.best_checkpoint import BestCheckpoint
from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from jdrl_lightning.callbacks.find_checkpoint import LeaveFolder, differences, latest_checkpoint, nearest
from jdrl_lightning.callbacks.plan import PlanCallback
from jdrl_lightning.callbacks.summary import SummaryCallback
from jdrl_lightning.callbacks.wandb_run import WandbRun, finish, identified
from jdrl_lightning.cli.checkpoints import checkpoint_file
from jdrl_lightning.cli.config import config_hash
from jdrl_lightning.cli.run_folder import leave_unused
from jdrl_lightning.errors import INTERRUPTED, UserError, and_more, first_line
from jdrl_lightning.io.atomic import clear_temporaries
from jdrl_lightning.module import DeblurringModule
from jdrl_lightning.runtime import distributed
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.training import end, out_of_memory, start

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
    if (finished := _finished(run)) is not None:
        return finished
    module = build_module(run)
    summary = SummaryCallback(run.run_dir / "summary.json", run.identity)
    trainer = build_trainer(run, module, summary)
    log.info(start.placed(trainer))
    log.info("parameters: %s", start.sizes(module))
    here = trainer.world_size // trainer.num_nodes
    if line := start.crowded(trainer.strategy.root_device, here, distributed.allowed_cores()):
        log.warning(line)
    data = build_data(run, module)
    train(run, trainer, module, data)
    if not trainer.is_global_zero:
        return {}
    metrics = summary.metrics()
    for line in [*_best_and_last(run, trainer, metrics), *end.results(run.run_dir, metrics)]:
        log.info(line)
    return metrics


def _best_and_last(run: Run, trainer: L.Trainer, metrics: dict[str, float]) -> list[str]:
    monitor = run.config["monitor"]
    kept = [part for part in trainer.checkpoint_callbacks if isinstance(part, BestCheckpoint)]
    if not kept or kept[0].best_model_score is None or not Path(kept[0].best_model_path).is_file():
        return []
    epoch = int(build.read_checkpoint(kept[0].best_model_path)["epoch"]) + 1
    last = metrics.get(monitor, math.nan)
    line = end.best_and_last(monitor, float(kept[0].best_model_score), epoch, last, trainer.current_epoch)
    return [line] if line else []


def find_checkpoint(config: dict[str, Any], run_dir: Path) -> Run:
    """Resolve ``ckpt_path`` (None, what names a checkpoint, or ``auto``) and the folder that the training continues in.

    Only with ``auto`` that is the folder of the earlier run.
    """
    identity, started_in = config_hash(config), run_dir
    checkpoint = None
    if config["ckpt_path"] == "auto":
        checkpoint = latest_checkpoint(run_dir, identity, config)
        if checkpoint is None:
            log.info("ckpt_path=auto: %s", _why_from_scratch(config, run_dir))
        elif run_dir not in checkpoint.parents:
            config, run_dir = _continue_in(config, run_dir, checkpoint.parents[1])
    elif config["ckpt_path"]:
        checkpoint = checkpoint_file(config["ckpt_path"], "last")
    if distributed.rank() == 0:
        clear_temporaries(run_dir)
    return Run(config, run_dir, started_in, checkpoint, identity)


def _why_from_scratch(config: dict[str, Any], run_dir: Path) -> str:
    """Why ``auto`` resumes nothing; names the newest run and what it differs in, in case that one was meant."""
    earlier = nearest(run_dir)
    if earlier is None:
        return "no checkpoint to resume from, training from scratch"
    changed = differences(earlier.stored, config)
    how = and_more(changed, 6) if changed else "files of weights, or was started by another version"
    folder = earlier.path.parents[1]
    remedy = f"ckpt_path={folder} resumes it"
    return f"no run with these settings, training from scratch; {folder} differs in {how}: {remedy}"


def _finished(run: Run) -> dict[str, float] | None:
    """The metrics of a run that has no epoch left, with a line that says so; None: there is something to train."""
    line = start.complete(run.checkpoint, build.read_checkpoint(run.checkpoint), run.config) if run.checkpoint else None
    if line is None or run.checkpoint is None:
        return None
    log.info(line)
    if distributed.rank() != 0:
        return {}
    leave_unused(run.started_in, "train")
    return start.final_metrics([run.run_dir, run.checkpoint.absolute().parent.parent])


def build_module(run: Run) -> DeblurringModule:
    """Build the module, and check that it can start like this."""
    log.info(
        start.resumed(run.checkpoint, build.read_checkpoint(run.checkpoint), run.config)
        if run.checkpoint
        else f"training {start.started_from(run.config['backbone'])}"
    )
    module = build.module(run.config)  # before the data, which may take minutes to render or to check
    _check_start(module, run)
    if run.checkpoint:
        build.check_fit(module, run.checkpoint)
    return module


def build_data(run: Run, module: DeblurringModule) -> Any:
    """Open the pairs, or render them, and check that they are enough for the objective and the monitor."""
    data = build.datamodule(run.config)
    data.setup("fit")
    _check_truth(module, data)
    if run.config["monitor"].startswith("val/aligned/") and "aligned" not in data.pairs("val")[0].extras:
        raise UserError(f"monitor={run.config['monitor']}: these pairs carry no truth; use val/deformed_gt/psnr")
    return data


def build_trainer(run: Run, module: DeblurringModule, summary: SummaryCallback) -> L.Trainer:
    """The trainer with the callbacks and loggers of the config, and those that every run has."""
    callbacks = [*build.parts(run.config["callbacks"]), PlanCallback(), summary, WandbRun(run.config)]
    if run.started_in != run.run_dir:
        callbacks.append(LeaveFolder(run.started_in))
    loggers = build.parts(identified(run.config["logger"], run.checkpoint, run.run_dir))
    # Lightning's table of parts counts no operations; the parameters are in a line of ours.
    settings = {"enable_model_summary": False, **run.config["trainer"]}
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
        share = (trainer.global_rank, trainer.world_size)
        data.measure(estimator, trainer.strategy.root_device, run.run_dir / "flow", share)
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
    warnings.filterwarnings("ignore", message="The number of training batches .* is smaller than the logging interval")
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")  # of a resumed run
    warnings.filterwarnings("ignore", message="The dirpath has changed from")  # a checkpoint of another run
    # Ours only chooses a memory layout.
    warnings.filterwarnings("ignore", message="You're using the WeightAveraging callback with a model that overrides")
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
