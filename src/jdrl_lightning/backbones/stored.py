"""A network from the settings and the weights that a checkpoint, or a model that travels, stores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jdrl_lightning import backbones
from jdrl_lightning.errors import UserError, first_line
from jdrl_lightning.io.weights import CHECKPOINT_KEY, fill

__all__ = ["MISFIT", "backbone_from_here", "built_backbone", "naming"]

MISFIT = "its weights do not fit its config"
PREFIX = "backbone."


def built_backbone(checkpoint: Mapping[str, Any], path: str | os.PathLike[str]) -> Any:
    """The :class:`Backbone` that the ``checkpoint`` read from ``path`` stores, in eval mode on the CPU.

    Raises:
        UserError: it names something unknown here, or its weights do not fit.
    """
    settings = backbone_from_here(checkpoint[CHECKPOINT_KEY]["config"]["backbone"], path)
    weights = {k.removeprefix(PREFIX): v for k, v in checkpoint["state_dict"].items() if k.startswith(PREFIX)}
    with naming(path):
        built = backbones.create(**settings)
        fill(built, weights, MISFIT)
    return built.eval()


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of building from the checkpoint at ``path``, in one line that names it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (RuntimeError, AttributeError) as error:  # a state dict may hold anything
        raise UserError(f"{path}: {MISFIT} ({first_line(error)})") from error


def backbone_from_here(settings: Mapping[str, Any], path: str | os.PathLike[str]) -> dict[str, Any]:
    """``settings`` of a network without first weights; one that is recognised by its weights finds them at ``path``.

    So does one that is guided (``of``).
    """
    kept = {key: value for key, value in settings.items() if key != "weights"}
    if "path" in kept:
        kept["path"] = str(path)
    if isinstance(kept.get("of"), Mapping):
        kept["of"] = backbone_from_here(kept["of"], path)
    return kept
