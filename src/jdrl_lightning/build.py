"""Config to objects, checkpoint to objects. The only place that instantiates a ``_target_``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate

from jdrl_lightning import backbones, data, objectives
from jdrl_lightning.backbones.checkpoints import read_weights
from jdrl_lightning.config import IDENTITY, config_hash
from jdrl_lightning.errors import UserError
from jdrl_lightning.module import CHECKPOINT_KEY, DeblurringModule

__all__ = ["datamodule", "from_checkpoint", "module", "parts", "read_checkpoint"]

# A checkpoint's config is untrusted: Hydra's own block list is best-effort, so only these may be called.
_TRUSTED = ("jdrl_lightning.", "torch.optim.")
_TRUSTED_TRAINING = (*_TRUSTED, "lightning.pytorch.callbacks.", "lightning.pytorch.loggers.")

_LOADING = ("crop", "crop_rule", "batch_size", "repeat", "augment", "shuffle", "num_workers")


def _instantiate(config: Any, allowed: tuple[str, ...] = _TRUSTED, **kwargs: Any) -> Any:
    """``hydra.utils.instantiate`` for targets that begin with one of ``allowed``."""
    for target in _targets(config):
        if not isinstance(target, str) or not target.startswith(allowed) or ".." in target:
            raise UserError(
                f"the config's _target_ {target!r} is refused; allowed: {', '.join(p + '*' for p in allowed)}"
            )
    return instantiate(config, **kwargs)


def _targets(config: Any) -> list[Any]:
    if isinstance(config, Mapping):
        own = [config["_target_"]] if "_target_" in config else []
        return own + [target for value in config.values() for target in _targets(value)]
    if isinstance(config, list | tuple):
        return [target for value in config for target in _targets(value)]
    return []


def module(config: Mapping[str, Any]) -> DeblurringModule:
    """The LightningModule that a plain ``config`` (keys backbone, objective, optim, seed) describes."""
    settings = dict(config["backbone"])
    weights = settings.pop("weights", None)
    backbone = backbones.create(**settings)
    if weights:
        backbones.load_weights(backbone, weights)
    objective = objectives.create(**config["objective"])
    optim = {name: _instantiate(part) for name, part in config["optim"].items()}
    kept = {key: config[key] for key in IDENTITY if key in config} | {"hash": config_hash(dict(config))}
    kept["backbone"] = settings  # without the path of its first weights: a checkpoint holds its own
    return DeblurringModule(backbone, objective, optim["optimizer"], optim["scheduler"], int(config["seed"]), kept)


def datamodule(config: Mapping[str, Any]) -> Any:
    """The data module of a plain ``config`` (keys data, seed): loading settings apart from the data set's own."""
    from jdrl_lightning.data.datamodule import PairDataModule

    settings = dict(config["data"])
    loading = {key: settings.pop(key) for key in _LOADING if key in settings}
    name = settings.pop("name")
    pairs = partial(data.create, name, seed=int(config["seed"]), crop=loading.get("crop"), **settings)
    return PairDataModule(lambda split: pairs(split=split), seed=int(config["seed"]), **loading)


def parts(configs: Mapping[str, Any] | None) -> list[Any]:
    """Callbacks or loggers from a group of ``_target_`` entries; null entries are left out."""
    return [_instantiate(part, _TRUSTED_TRAINING) for part in (configs or {}).values() if part]


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint of ours without running anything in it.

    Raises:
        UserError: the file is missing, truncated, holds pickled code, or was not written by a training of ours.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; give ckpt_path=<run folder>/checkpoints/last.ckpt")
    checkpoint = read_weights(Path(path))
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint or "state_dict" not in checkpoint:
        raise UserError(
            f"{path}: not a checkpoint of jdrl_lightning; load official weights with backbone.weights=<file>"
        )
    return checkpoint


def from_checkpoint(path: str | os.PathLike[str]) -> DeblurringModule:
    """The trained module, from the checkpoint alone, on the CPU and in eval mode.

    Raises:
        UserError: see :func:`read_checkpoint`; or its stored config asks for something that is not ours.
    """
    checkpoint = read_checkpoint(path)
    try:
        built = module(checkpoint[CHECKPOINT_KEY]["config"])
        built.load_state_dict(checkpoint["state_dict"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit its config ({str(error).splitlines()[0]})") from error
    return built.eval()


def check_fit(built: DeblurringModule, path: str | os.PathLike[str]) -> None:
    """Refuse to resume ``built`` from a checkpoint of another architecture.

    Raises:
        UserError: names the first weights that do not fit.
    """
    theirs, ours = read_checkpoint(path)["state_dict"], built.state_dict()
    wrong = sorted(
        k for k in theirs.keys() | ours.keys() if k not in theirs or k not in ours or theirs[k].shape != ours[k].shape
    )
    if wrong:
        shown = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        raise UserError(f"{path}: a checkpoint of another architecture; these weights do not fit: {shown}")


def strategy(trainer: Mapping[str, Any], built: DeblurringModule) -> Any:
    """The strategy asked for; with ``auto`` and several devices, DDP that knows whether parts stay idle."""
    asked, devices = trainer.get("strategy", "auto"), trainer.get("devices", 1)
    if devices in ("auto", -1, "-1"):
        devices = torch.cuda.device_count() if trainer.get("accelerator", "auto") in ("auto", "gpu", "cuda") else 1
    several = len(devices) > 1 if isinstance(devices, list) else int(devices) > 1
    if asked != "auto" or not (several or int(trainer.get("num_nodes", 1)) > 1):
        return asked
    return "ddp_find_unused_parameters_true" if built.objective.find_unused_parameters else "ddp"


def device(name: str) -> torch.device:
    """``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``: the first that is there.

    Raises:
        UserError: unknown, or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device={name}: not available here; use device=cpu or device=auto") from error
    return torch.device(name)
