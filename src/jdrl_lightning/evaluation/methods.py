"""Methods of restoring images, by name; another method takes one entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.registry import Registry
from jdrl_lightning.types import Pair

__all__ = ["Look", "Method", "chosen", "create", "names", "of_blurry"]


class Look(NamedTuple):
    """An image of the data set: its name, and its size in pixels after the protocol's crop."""

    name: str
    height: int
    width: int


class Method(NamedTuple):
    """Something that restores images.

    Attributes:
        title: what tables call it.
        restore: from a float batch of one pair, on the command's device and cropped by the protocol, to
            ``(1, 3, H, W)`` on the same device, RGB in [0, 1]. It must use neither ``pair.sharp`` nor the truth among
            the extras; :func:`of_blurry` turns a function of the blurry image into one.
        notes: sentences that readers of the tables must know.
        training: the stored config of the training, if it was ours.
        check: called with all images before the first is restored; raises a ``UserError``.
        makes_images: False if the restored images are files already, which need not be written again.
    """

    title: str
    restore: Callable[[Pair], Tensor]
    notes: tuple[str, ...] = ()
    training: Mapping[str, Any] | None = None
    check: Callable[[Sequence[Look]], None] | None = None
    makes_images: bool = True


# Each is called with the command's plain config and the device, as ``config`` and ``device``, and returns a Method.
_registry = Registry(
    "method",
    {
        "checkpoint": "jdrl_lightning.evaluation.method_network:checkpoint",
        "weights": "jdrl_lightning.evaluation.method_network:weights",
        "folder": "jdrl_lightning.evaluation.method_images:folder",
        "identity": "jdrl_lightning.evaluation.method_images:identity",
        "ebdb": "jdrl_lightning.evaluation.method_classical:ebdb",
        "jnb": "jdrl_lightning.evaluation.method_classical:jnb",
        "dmenet": "jdrl_lightning.evaluation.method_classical:dmenet",
        "oracle_map": "jdrl_lightning.evaluation.method_classical:oracle_map",
    },
    group="jdrl_lightning.methods",
)
names = _registry.names

# The setting that a method is chosen by, if there is one, and how it is given.
ABOUT = {
    "checkpoint": ("ckpt_path", "ckpt_path=<run folder>/checkpoints/best.ckpt"),
    "weights": ("backbone", "backbone=<name> backbone.weights=<file>"),
    "folder": ("restored", "restored=<folder of restored images>"),
    "dmenet": ("dmenet_weights", "dmenet_weights=<file>"),
}


def chosen(config: Mapping[str, Any]) -> str:
    """The method that ``config`` asks for: ``method``, or the one whose setting is given.

    Raises:
        UserError: none, its setting is missing, or that of another method is given, which would be ignored.
    """
    given = [method for method, (key, _) in ABOUT.items() if config.get(key)]
    name = config["method"] or (given[0] if len(given) == 1 else None)
    if name is None:
        raise UserError(
            f"{'give one' if given else 'nothing to evaluate: give'} of "
            f"{', '.join(how for _, how in ABOUT.values())}, or method=identity; see --help"
        )
    if name in ABOUT and name not in given:
        raise UserError(f"method={name} needs {ABOUT[name][1]}")
    for other in given:
        if other != name:
            raise UserError(f"{ABOUT[other][0]}=… is of method={other}, not of method={name}; leave one of them out")
    return name


def create(name: str, config: Mapping[str, Any], device: torch.device) -> Method:
    """Make the method ``name``.

    Raises:
        UserError: unknown name, or something that it needs is missing or wrong.
    """
    made: Method = _registry.create(name, config=config, device=device)
    return made


def of_blurry(restore: Callable[[Tensor], Tensor]) -> Callable[[Pair], Tensor]:
    """``(B, 3, H, W) -> (B, 3, H, W)`` on the blurry image, as a function of the pair."""
    return lambda pair: restore(pair.blurry)
