"""Activation checkpointing: parts of a network keep their input alone, and are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["checkpoint_activations"]


def checkpoint_activations(parts: Iterable[nn.Module]) -> bool:
    """From now on each of ``parts`` keeps its input only; the gradients are the same, its forward pass runs twice.

    Returns:
        Whether there were any.
    """
    found = list(parts)
    for part in found:
        part.forward = partial(checkpoint, part.forward, use_reentrant=False)
    return bool(found)
