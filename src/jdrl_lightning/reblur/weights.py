"""Load weights into the reblurring network: our own layouts, and the published one, which is matched by shapes."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import fill, read_weights, unwrap
from jdrl_lightning.reblur.network import ReblurNet

__all__ = ["load_reblur_weights"]

log = logging.getLogger(__name__)

WRAPPERS = ("Reblur_state_dict", "state_dict")  # the published file's and ours
OURS = "objective.reblur."


def load_reblur_weights(network: ReblurNet, path: str | os.PathLike[str]) -> None:
    """Load a checkpoint of ours, a state dict of the network, or JDRL's ``Reblur_state_dict``.

    The published network is two branches with the same layers as ours (474,987 parameters in total). The names in its
    file are ignored: a branch starts at a convolution with six input channels, its layers follow in order, and its
    shapes decide whether it is ``kpn`` or ``wpn``. A file with incomplete or interleaved branches is rejected.

    Args:
        network: changed in place; unchanged after an error.
        path: the file; code in it is never run.

    Raises:
        UserError: the file is missing, unreadable, or does not match the network.
    """
    file = Path(path)
    _, state = unwrap(read_weights(file), file, WRAPPERS, OURS)
    wanted = network.state_dict()
    if state.keys() != wanted.keys():
        state = _by_structure(state, wanted, file)
    fill(network, state, f"weights {file} do not fit objective.reblur")
    log.info("weights %s: %d tensors for the reblurring network", file, len(state))


def _by_structure(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The tensors under our names; the branches are identified by the shapes of all their tensors."""
    branches: list[list[Tensor]] = []
    for tensor in state.values():
        if tensor.ndim == 4 and tensor.shape[1] == 6:
            branches.append([])
        if branches:
            branches[-1].append(tensor)
    named: dict[str, Tensor] = {}
    for name in {key.split(".")[0]: None for key in wanted}:
        keys = [key for key in wanted if key.startswith(f"{name}.")]
        shapes = [wanted[key].shape for key in keys]
        fitting = [branch for branch in branches if [tensor.shape for tensor in branch] == shapes]
        if len(fitting) == 1:
            named.update(zip(keys, fitting[0], strict=True))
    if named.keys() != wanted.keys() or len(named) != len(state):
        raise UserError(
            f"weights {file} do not fit objective.reblur: {len(named)} of {len(state)} tensors "
            f"recognised, {len(wanted)} expected"
        )
    return named
