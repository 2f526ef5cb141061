"""Weights of the reblurring network: our own, and the published ones, which are known by their shapes only."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import read_weights
from jdrl_lightning.reblur.network import ReblurNet

__all__ = ["load_reblur_weights"]

log = logging.getLogger(__name__)

PUBLISHED = "Reblur_state_dict"
OURS = "objective.reblur."


def load_reblur_weights(network: ReblurNet, path: str | os.PathLike[str]) -> None:
    """Fill a reblurring network from a checkpoint of ours, its own state dict, or JDRL's ``Reblur_state_dict``.

    The published network is two branches of the same layers as ours (474,987 parameters together). How its file calls
    them is not relied upon: a branch begins at the convolution that takes six channels, its layers follow in order, and
    the one that ends in a seed a kernel radius is the kernel network. A file in which the branches are not whole, one
    after the other, is refused.

    Args:
        network: changed in place, or not at all.
        path: the file; code in it is never run.

    Raises:
        UserError: the file is missing, unreadable, or does not fit.
    """
    file = Path(path)
    content = read_weights(file)
    for wrapper in (PUBLISHED, "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(isinstance(v, Tensor) for v in content.values()):
        raise UserError(f"reblurring weights {file} hold no state dict, neither bare nor under {PUBLISHED}")
    state = {str(key).removeprefix("module."): value for key, value in content.items()}
    state = {k.removeprefix(OURS): v for k, v in state.items() if k.startswith(OURS)} or state
    wanted = network.state_dict()
    if state.keys() != wanted.keys():
        state = _by_structure(state, wanted, file)
    if wrong := [key for key in wanted if state[key].shape != wanted[key].shape]:
        raise UserError(f"reblurring weights {file} do not fit objective.reblur; of another shape: {', '.join(wrong)}")
    network.load_state_dict(state)
    log.info("weights %s: %d tensors for the reblurring network", file, len(state))


def _by_structure(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
    """The tensors under our names: branches in the file's order, told apart by the shapes of all their tensors."""
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
            f"reblurring weights {file} do not fit objective.reblur: {len(state)} tensors, of which "
            f"{len(named)} are recognised; {len(wanted)} are wanted"
        )
    return named
