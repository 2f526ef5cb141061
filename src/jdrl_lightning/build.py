"""Objects from a config, and from a checkpoint."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from jdrl_lightning import backbones, data, objectives
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.stored import backbone_from_here, built_backbone, naming
from jdrl_lightning.cli.config import IDENTITY, config_hash
from jdrl_lightning.cli.targets import TRUSTED_TRAINING, check_targets, instantiate
from jdrl_lightning.errors import UserError, and_more, first_line
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.io.hub import CONFIG, WEIGHTS, model_file, on_hub
from jdrl_lightning.io.pretrained import read_pretrained
from jdrl_lightning.io.weights import CHECKPOINT_KEY, read_weights
from jdrl_lightning.objectives.stored import objective_from_here
from jdrl_lightning.registry import without_files
from jdrl_lightning.runtime.distributed import requested_devices

if TYPE_CHECKING:  # it imports Lightning, two seconds that only trainings should take
    from jdrl_lightning.module import DeblurringModule

__all__ = [
    "SHIPPED", "backbone", "backbone_from_checkpoint", "datamodule", "from_checkpoint", "load", "module", "parts",
    "read_checkpoint", "stored_backbone", "stored_settings",
]  # fmt: skip

SHIPPED = {"name": "compact", "weights": "builtin"}  # the network that comes with the package, as settings

_LOADING = (
    "crop", "crop_rule", "batch_size", "repeat", "augment", "recolor", "shuffle", "num_workers", "on_error",
)  # fmt: skip


def backbone(settings: Mapping[str, Any]) -> Backbone:
    """The network of a plain config's group ``backbone``, filled from its file of ``weights`` if it names one.

    Raises:
        UserError: an unknown name or setting, or weights that cannot be read or do not fit.
    """
    settings = dict(settings)
    weights = settings.pop("weights", None)
    network: Backbone = backbones.create(**settings)
    if weights:
        backbones.load_weights(network, weights)
    return network


def module(config: Mapping[str, Any]) -> DeblurringModule:
    """The LightningModule that a plain ``config`` describes.

    Its keys: backbone, objective, optim, seed; and how a training computes, compile and activation_checkpointing.
    """
    from jdrl_lightning.module import DeblurringModule

    settings = {key: value for key, value in config["backbone"].items() if key != "weights"}
    network = backbone(config["backbone"])
    sizes = [parameter.numel() for parameter in network.parameters()]
    if not all(sizes) or not sizes:
        shown = ", ".join(f"backbone.{key}={value}" for key, value in settings.items() if key != "name")
        raise UserError(
            f"backbone {settings['name']!r} has nothing to train or an empty layer; raise its sizes ({shown})"
        )
    objective = objectives.create(**config["objective"])
    if config.get("activation_checkpointing"):
        able = (getattr(part, "checkpoint_activations", None) for part in (network, objective))
        done = [checkpoint() for checkpoint in able if checkpoint]
        if not any(done):
            raise UserError(
                f"activation_checkpointing=true: neither backbone={settings['name']} nor "
                f"objective={config['objective']['name']} has blocks for it; set it to false"
            )
    parts = config.get("optim") or {}  # of Python, without a config: the defaults
    for name, part in parts.items():
        if not isinstance(part, Mapping) or "_target_" not in part:
            raise UserError(f"optim.{name}={part}: not an option; choose both together, as optim=paper or optim=cosine")
    optim = {name: instantiate(part) for name, part in parts.items()}
    try:
        if optim:
            optim["optimizer"]([torch.nn.Parameter(torch.zeros(1))])
    except (TypeError, ValueError) as error:
        raise UserError(f"optim.optimizer cannot be built with these settings: {first_line(error)}") from error
    try:
        if optim:
            optim["scheduler"](0.5)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise UserError(f"optim.scheduler cannot be used with these settings: {first_line(error)}") from error
    compile = bool(config.get("compile"))
    kept = stored_settings(config) | {"hash": config_hash(dict(config))}
    return DeblurringModule(network, objective, **optim, seed=int(config["seed"]), config=kept, compile=compile)


def stored_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a plain ``config`` that its checkpoints store: they tell one training from another."""
    kept = {key: config[key] for key in IDENTITY if key in config}
    for key in kept.keys() & {"backbone", "objective"}:
        kept[key] = without_files(kept[key])
    root = (kept.get("data") or {}).get("root")
    if root and "://" not in str(root):  # evaluated from another folder it is still that one
        kept["data"] = {**kept["data"], "root": str(Path(root).absolute())}
    return kept


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
    return [instantiate(part, TRUSTED_TRAINING) for part in (configs or {}).values() if part]


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read one of our checkpoints, or a model that :meth:`save_pretrained` wrote, without running anything in it.

    Raises:
        UserError: the file is missing, truncated or damaged, holds pickled code, was not written by our training,
            or its stored config names something to call that is not allowed.
    """
    if not Path(path).is_file():
        raise UserError(f"{path}: no such checkpoint; give ckpt_path=<run folder>/checkpoints/last.ckpt")
    if Path(path).with_name(CONFIG).is_file() and Path(path).name == WEIGHTS:
        return read_pretrained(Path(path))
    checkpoint = read_weights(Path(path))
    if _damaged(path):
        raise UserError(f"{path}: damaged: its checksums are not those of what is in it; give an earlier checkpoint")
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint or "state_dict" not in checkpoint:
        raise UserError(
            f"{path}: not a checkpoint of jdrl_lightning; load official weights with backbone.weights=<file>"
        )
    try:
        check_targets(checkpoint[CHECKPOINT_KEY])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return checkpoint


def _damaged(path: str | os.PathLike[str]) -> bool:
    """Whether the checksums that torch.save wrote are wrong; torch.load does not look at them."""
    if not zipfile.is_zipfile(path):  # PyTorch's format of before 2020, without checksums
        return False
    try:
        with zipfile.ZipFile(path) as file:
            return file.testzip() is not None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        return True


FULL_RESOLUTION = "objective.reblur.kpn."  # weights of a reblurring network with a stride of 1


def from_checkpoint(path: str | os.PathLike[str]) -> DeblurringModule:
    """The trained module, from the checkpoint alone, on the CPU and in eval mode.

    Raises:
        UserError: see :func:`read_checkpoint`; or its stored config asks for something unknown here.
    """
    path = model_file(path)
    checkpoint = read_checkpoint(path)
    stored = _stored(checkpoint, path)
    with naming(path):
        built = module(_from_here(stored, path))
        built.load_state_dict(checkpoint["state_dict"])
    built.config = stored
    return built.eval()


def backbone_from_checkpoint(path: str | os.PathLike[str]) -> Backbone:
    """The trained network alone, on the CPU and in eval mode: neither objective nor optimiser is built.

    Raises:
        UserError: see :func:`from_checkpoint`.
    """
    file = model_file(path)
    return stored_backbone(read_checkpoint(file), file)


def stored_backbone(checkpoint: Mapping[str, Any], path: str | os.PathLike[str]) -> Backbone:
    """:func:`backbone_from_checkpoint` of the ``checkpoint`` that was read from ``path``."""
    _stored(checkpoint, path)
    network: Backbone = built_backbone(checkpoint, path)
    return network


def _stored(checkpoint: Mapping[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings in a checkpoint, which has none if it was trained in Python on parts that no registry made."""
    stored = checkpoint[CHECKPOINT_KEY].get("config")
    if isinstance(stored, Mapping) and isinstance(stored.get("backbone"), Mapping) and "name" in stored["backbone"]:
        return _with_earlier_defaults(dict(stored), checkpoint["state_dict"])
    raise UserError(
        f"{path}: trained in Python, without the settings of its network; in Python give them to "
        f"jdrl_lightning.load({str(path)!r}, backbone={{'name': ..., ...}}), on the command line, to evaluate or "
        f"export, backbone=<name> backbone.weights={path}"
    )


def _from_here(config: Mapping[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """``config`` for a machine that has the checkpoint at ``path`` and none of the other files of the training."""
    own = {"backbone": backbone_from_here(config["backbone"], path), "objective": objective_from_here(config)}
    return {"seed": 0, **config, **own}


def _with_earlier_defaults(stored: dict[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """``stored`` of a time when ``reblur.stride`` was always 1, as the weights tell, and the default width 64."""
    objective = stored.get("objective")
    if isinstance(objective, Mapping) and any(name.startswith(FULL_RESOLUTION) for name in weights):
        reblur = {"stride": 1, "width": 64, **(objective.get("reblur") or {})}
        return {**stored, "objective": {**objective, "reblur": reblur}}
    return stored


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
        finer = any(k.startswith(FULL_RESOLUTION) and k not in ours for k in wrong)
        remedy = "; it was trained with objective.reblur.stride=1" if finer else ""
        raise UserError(
            f"{path}: a checkpoint of another architecture; these weights do not fit: {and_more(wrong)}{remedy}"
        )


def strategy(trainer: Mapping[str, Any], built: DeblurringModule) -> Any:
    """The strategy asked for; with ``auto`` and several devices, DDP that knows whether parts stay idle."""
    asked = trainer.get("strategy", "auto")
    if asked != "auto" or requested_devices(trainer) * int(trainer.get("num_nodes", 1)) <= 1:
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


def load(
    path: str | os.PathLike[str] | None = None, device: str = "auto", backbone: Mapping[str, Any] | str | None = None
) -> Restorer:
    """A network that restores pictures.

    Args:
        path: a checkpoint of a training; a folder that ``save_pretrained`` wrote; ``owner/name`` or
            ``hf:owner/name@<revision>`` on the Hugging Face hub; or, with ``backbone``, a file of weights. None: the
            network that comes with the package.
        device: ``auto``, ``cpu``, ``cuda``, …
        backbone: name of the network that weights without a configuration are for, or its settings with ``name``.

    Raises:
        UserError: a file that cannot be read or does not fit, or a device that is not there.
    """
    return Restorer(_network(path, backbone, device))


def _network(path: str | os.PathLike[str] | None, named: Mapping[str, Any] | str | None, place: str) -> Backbone:
    if named is None:
        network = backbone(SHIPPED) if path is None else backbone_from_checkpoint(on_hub(path))
    else:
        network = backbone({**({"name": named} if isinstance(named, str) else named), "weights": path})
    return network.to(device(place))
