"""One training in this process: from a plain configuration to the files under the run's folder."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from jdrl_lightning import build
from jdrl_lightning.callbacks.best_checkpoint import BestCheckpoint
from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
from jdrl_lightning.callbacks.find_checkpoint import LeaveFolder
from jdrl_lightning.callbacks.plan import PlanCallback
from jdrl_lightning.callbacks.summary import SummaryCallback
from jdrl_lightning.callbacks.wandb_run import WandbRun, finish, identified
from jdrl_lightning.errors import INTERRUPTED, UserError, first_line
from jdrl_lightning.module import DeblurringModule
from jdrl_lightning.registry import made_from
from jdrl_lightning.runtime import distributed
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.training import end, out_of_memory, start
from jdrl_lightning.training.quiet import silence_lightning
from jdrl_lightning.training.run import Run, find_checkpoint, finished

__all__ = ["fit", "measure_pairs"]

log = logging.getLogger(__name__)

SIDE = 32  # px, of the image that tells what a network predicts


def fit(config: dict[str, Any], run_dir: Path) -> dict[str, float]:
    """Train what the plain ``config`` describes and leave everything under ``run_dir``.

    Returns:
        The final metrics; empty on every rank but the first.

    Raises:
        UserError: a setting, the data, the checkpoint or the device does not allow this training.
    """
    silence_lightning()
    keep_freed_memory()
    seed = config["seed"]
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed={seed!r} is not a whole number from 0 to {2**32 - 1}; give seed=0")
    L.seed_everything(seed, workers=True, verbose=False)
    run = find_checkpoint(config, run_dir)
    if (metrics := finished(run)) is not None:
        return metrics
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


def build_module(run: Run) -> DeblurringModule:
    """Build the module, and check that it can start like this."""
    log.info(
        start.resumed(run.checkpoint, build.read_checkpoint(run.checkpoint), run.config)
        if run.checkpoint
        else f"training {start.started_from(run.config['backbone'])}"
    )
    module = build.module(run.config)  # before the data, which may take minutes to render or to check
    _check_start(module, run)
    _check_maps(module, run)
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
    share = (trainer.global_rank, trainer.world_size)
    measure_pairs(module, data, trainer.strategy.root_device, run.run_dir / "flow", share)
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


def measure_pairs(
    module: DeblurringModule, data: Any, device: torch.device, folder: Path, share: tuple[int, int] = (0, 1)
) -> None:
    """Measure flow and blur of whole pairs, for objectives that take them; ``share``: rank and ranks."""
    if (estimator := getattr(module.objective, "picture_flow", None)) is None:
        return
    restorer = build.load(device=str(device)) if getattr(module.objective, "flow_of", None) == "restored" else None
    radius = getattr(module.objective, "picture_radius", None)
    how = f"{restorer.identity if restorer else ''}{made_from(module.objective) if radius else ''}"
    data.measure(estimator, device, folder, share, restorer and restorer.restore, how, radius)


def _check_start(module: DeblurringModule, run: Run) -> None:
    """Refuse to freeze an untrained network."""
    if run.checkpoint or start.first_weights(run.config["backbone"]):
        return
    if "backbone" in module.objective.schedule.at(0).frozen:
        raise UserError("the first stage freezes the backbone: set backbone.weights=<file>")


def _check_maps(module: DeblurringModule, run: Run) -> None:
    """Refuse a network without the maps that the objective takes from it: every pair may be measured before a step."""
    if not (wanted := getattr(module.objective, "wanted_aux", {})):
        return
    backbone = module.backbone.eval()  # statistics of normalisations stay
    with torch.no_grad():
        aux = backbone(torch.full((1, getattr(backbone, "in_channels", 3), SIDE, SIDE), 0.5)).aux
    backbone.train()
    for name, channels in wanted.items():
        given = aux[name].shape[1] if name in aux else 0
        if given != channels:
            seen = f"a {name} of {given} channel{'s' if given > 1 else ''}" if given else f"no {name}"
            needs = f"objective={run.config['objective']['name']} needs a {name} from the network, which has {seen}"
            guide = f"set backbone=guided backbone.channels={channels}"
            raise UserError(f"{needs}: {guide if name == 'map' else 'set backbone=<one that predicts it>'}")


def _check_truth(module: DeblurringModule, data: Any) -> None:
    """Refuse pairs without a truth that the objective takes from them."""
    if getattr(module.objective, "target", "sharp") == "aligned" and "aligned" not in data.pairs("train")[0].extras:
        raise UserError("objective.target=aligned needs pairs that carry the truth; use data=photos or data=leaves")
    if not getattr(getattr(module.objective, "flow", None), "uses_truth", False):
        return
    needed = any(stage.flow_source != "none" for stage in module.objective.schedule.stages)
    if needed and "flow" not in data.pairs("train")[0].extras:
        raise UserError("flow=oracle needs pairs that carry their true flow; use data=photos or data=leaves")
