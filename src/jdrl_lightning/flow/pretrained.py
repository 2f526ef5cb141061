"""What estimators with a trained network have in common: weights are the user's own file, and nothing is trained."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.io.weights import fill, read_weights, unwrap

__all__ = ["LearnedFlow"]

log = logging.getLogger(__name__)


class LearnedFlow(FlowEstimator):
    """Holds a frozen network in eval mode; a subclass asks for it with :meth:`network_on` and calls it.

    Args:
        name: what messages call it.
        build: makes the network.
        weights: a local file, or ``random``: whatever ``build`` drew, which estimates nothing. None is refused.
        source: which file of which project, for the one who has none.
        licence: terms of code and weights; logged when weights are read.
        rename: from a file's keys to the network's.

    Raises:
        UserError: no weights, or a file that is missing, unreadable or does not fit; the message names the keys.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], nn.Module],
        weights: str | os.PathLike[str] | None,
        *,
        source: str,
        licence: str,
        rename: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict,
    ) -> None:
        if weights is None:
            raise UserError(f"flow={name} needs weights, which are not shipped: get {source}; then flow.weights=<file>")
        self.licence = licence
        self._network = build()
        if weights == "random":
            warnings.warn(f"flow={name} has random weights: its flow means nothing", stacklevel=3)
        else:
            file = Path(weights)
            state = rename(unwrap(read_weights(file), file)[1])
            fill(self._network, state, f"weights {file} do not fit flow={name}")
            log.info("weights %s: %d tensors for flow=%s; %s", file, len(state), name, licence)
        self._network.eval().requires_grad_(False)

    def network_on(self, device: torch.device) -> nn.Module:
        """The network, moved to ``device`` if it is not there."""
        return self._network.to(device)
