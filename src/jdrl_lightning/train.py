"""Train a deblurring network: ``python -m jdrl_lightning.train backbone=unet data=folder data.root=my_pairs``."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from jdrl_lightning.errors import INTERRUPTED, UserError
from jdrl_lightning.launch import command

__all__ = ["main"]

log = logging.getLogger(__name__)


def fit(config: dict[str, Any], run_dir: Path) -> dict[str, float]:
    """Train what the plain ``config`` describes and leave everything under ``run_dir``; returns the final metrics."""
    import lightning as L
    import torch
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from jdrl_lightning import build, memory, ranks
    from jdrl_lightning.allocation import keep_freed_memory
    from jdrl_lightning.callbacks.checkpoint_io import AtomicCheckpointIO
    from jdrl_lightning.callbacks.resume import LeaveFolder, latest_checkpoint
    from jdrl_lightning.callbacks.summary import SummaryCallback
    from jdrl_lightning.callbacks.wandb_run import WandbRun, finish, identified
    from jdrl_lightning.config import config_hash
    from jdrl_lightning.files import clear_temporaries

    _quieten()
    keep_freed_memory()
    if not isinstance(config["seed"], int) or not 0 <= config["seed"] < 2**32:
        raise UserError(f"seed={config['seed']!r} is not a whole number from 0 to {2**32 - 1}; give seed=0")
    L.seed_everything(config["seed"], workers=True, verbose=False)
    identity, fresh = config_hash(config), run_dir
    checkpoint = config["ckpt_path"]
    if checkpoint == "auto":
        checkpoint = latest_checkpoint(run_dir, identity)
        if checkpoint is None:
            log.info("ckpt_path=auto: nothing to go on from, starting anew")
        elif run_dir not in checkpoint.parents:
            config, run_dir = _move_into(config, run_dir, checkpoint.parents[1])
    if ranks.rank() == 0:
        clear_temporaries(run_dir)
    module = build.module(config)  # before the data, which may take minutes to render or to check
    _check_start(module, config, checkpoint)
    data = build.datamodule(config)
    data.setup("fit")
    _check_truth(module, data)
    if checkpoint:
        build.check_fit(module, checkpoint)
        log.info("going on from %s", checkpoint)
    summary = SummaryCallback(run_dir / "summary.json", identity)
    callbacks = [*build.parts(config["callbacks"]), summary, WandbRun(config)]
    if fresh != run_dir:
        callbacks.append(LeaveFolder(fresh))
    loggers = build.parts(identified(config["logger"], checkpoint, run_dir))
    settings = dict(config["trainer"])
    try:
        settings["strategy"] = build.strategy(settings, module)
        trainer = L.Trainer(
            **settings,
            callbacks=callbacks,
            logger=loggers,
            plugins=[AtomicCheckpointIO()],
            default_root_dir=str(run_dir),
            use_distributed_sampler=False,  # the data module shares pairs out by rank itself
        )
    except Exception as error:  # Lightning has many kinds for settings that it refuses
        told = str(error).split("\n", 1)[0]
        asked = ", ".join(f"trainer.{key}={settings.get(key)}" for key in ("accelerator", "devices", "precision"))
        raise UserError(f"trainer: {told} (asked for: {asked}); change what this machine or Lightning lacks") from error
    if (estimator := getattr(module.objective, "picture_flow", None)) is not None:
        data.measure(estimator, trainer.strategy.root_device)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=True)
    except torch.OutOfMemoryError as error:
        raise UserError(memory.what_helps(config)) from error
    except MisconfigurationException as error:  # of a checkpoint and settings that do not go together
        raise UserError(f"trainer: {str(error).splitlines()[0]}") from error
    except SystemExit as error:
        if trainer.interrupted and error.code == 1:  # Lightning's answer to Ctrl-C
            saved = any((run_dir / "checkpoints").glob("*.ckpt"))
            log.info(
                "stopped; %s", "the same command with ckpt_path=auto goes on" if saved else "nothing was saved yet"
            )
            raise SystemExit(INTERRUPTED) from None
        raise
    finally:
        # After an error in a validation Lightning leaves the training's loading processes, which Python would wait for.
        trainer.fit_loop.teardown()
        finish(trainer)
    log.info("results: %s", run_dir)
    return summary.metrics() if trainer.is_global_zero else {}


def _check_start(module: Any, config: dict[str, Any], checkpoint: Any) -> None:
    """Refuse to hold a network fixed that nobody has trained."""
    backbone = config["backbone"]
    if checkpoint or backbone.get("weights") or backbone.get("path"):  # path: spandrel's network with its weights
        return
    if "backbone" in module.objective.schedule.at(0).frozen:
        raise UserError("the first stage holds the network fixed, so it must be trained: give backbone.weights=<file>")


def _check_truth(module: Any, data: Any) -> None:
    """Refuse pairs without a true flow where the objective takes it from them."""
    if not getattr(getattr(module.objective, "flow", None), "uses_truth", False):
        return
    needed = any(stage.flow_source != "none" for stage in module.objective.schedule.stages)
    if needed and "flow" not in data.pairs("train")[0].extras:
        raise UserError("flow=oracle needs pairs that carry their true flow; use data=photos or data=leaves")


def _quieten() -> None:
    """Leave out Lightning's advertisements and warnings that are not about the user's run."""
    for part in ("pytorch", "fabric"):
        logging.getLogger(f"lightning.{part}").setLevel(logging.WARNING)
    # Ours converts integers for any data module on purpose.
    warnings.filterwarnings("ignore", message="You have overridden `on_after_batch_transfer`")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated")  # inside Lightning, with torch >= 2.11
    warnings.filterwarnings("ignore", message=".*does not have many workers")  # rendered pairs lie in memory
    # The batch plan knows where to go on; Lightning only looks for a loader with a state.
    warnings.filterwarnings("ignore", message="You're resuming from a checkpoint that ended before the epoch ended")
    # What is logged without it is the same in all processes, or is meant to be the first one's.
    warnings.filterwarnings("ignore", message="It is recommended to use `self.log")


def _move_into(config: dict[str, Any], fresh: Path, earlier: Path) -> tuple[dict[str, Any], Path]:
    """Go on in the earlier run's folder, where the log goes on too."""
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


@command("train")
def main(cfg: DictConfig) -> float | None:
    """Compose, build, run; returns the value of ``monitor`` for sweepers."""
    from hydra.core.hydra_config import HydraConfig

    from jdrl_lightning import crew
    from jdrl_lightning.config import plain
    from jdrl_lightning.sweep import recorded

    with recorded(cfg.monitor) as metrics:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if Path(cfg.run_dir) != folder:
            raise UserError(f"run_dir={cfg.run_dir}: follows the run's folder; give hydra.run.dir={cfg.run_dir}")
        metrics |= crew.train(plain(cfg), folder)
    return metrics.get(cfg.monitor)


if __name__ == "__main__":
    main()
