"""Any model of the ptlflow package, with weights from a file."""

from __future__ import annotations

import os
from importlib import import_module

import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.pretrained import LearnedFlow

__all__ = ["PTLFlow"]


class PTLFlow(LearnedFlow):
    """A model by its name in ptlflow; it pads its input by itself.

    Args:
        model: ``raft_small``, ``sea_raft_s``, ``neuflow2``, …
        weights: a file with ptlflow's checkpoint of that model, never the name of one; ``random`` for none.

    Raises:
        UserError: ptlflow is not installed or has no such model; and see :class:`LearnedFlow`.
    """

    def __init__(self, model: str, weights: str | os.PathLike[str] | None = None) -> None:
        super().__init__(
            "ptlflow",
            lambda: _network(model),
            weights,
            source=f"ptlflow's checkpoint of {model}",
            licence=f"code Apache-2.0 (ptlflow); {model} and its weights have terms of their own, see ptlflow's "
            "folder of the model; weights trained by ptlflow are CC BY-NC-SA 4.0: non-commercial",
        )

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        pair = torch.stack([first, second], dim=1).flip(2)  # ptlflow's models expect BGR, as OpenCV reads it
        return self.network_on(first.device)({"images": pair})["flows"][:, 0]


def _network(model: str) -> nn.Module:
    try:
        package = import_module("ptlflow")
    except ImportError as error:
        raise UserError("flow=ptlflow needs ptlflow: pip install 'jdrl_lightning[ptlflow]'") from error
    if model not in package.get_model_names():
        raise UserError(f"flow.model={model!r} is no model of ptlflow: {', '.join(package.get_model_names())}")
    return package.get_model(model)
