"""Memory and arithmetic counted, also of what this machine could not compute: under torch's ``FakeTensorMode``."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Alive", "multiply_adds"]


class Alive(TorchDispatchMode):
    """Counts the bytes of tensors made under it that are alive, ``now`` and at their ``peak``; views once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known = weakref.WeakSet[torch.UntypedStorage]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for storage in _storages(result) - _storages(args):  # an argument may be an existing weight, seen again
            if storage not in self._known:
                self._known.add(storage)
                self._change(storage.nbytes())
                weakref.finalize(storage, self._change, -storage.nbytes())
        return result

    def _change(self, by: int) -> None:
        self.now += by
        self.peak = max(self.peak, self.now)


def multiply_adds(run: Callable[[], object]) -> float:
    """Of the convolutions and matrix products in ``run``; what else it does is not counted."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2


def _storages(tree: Any) -> set[torch.UntypedStorage]:
    return {tensor.untyped_storage() for tensor in tree_leaves(tree) if isinstance(tensor, torch.Tensor)}
