"""Constants cached on the device, since each copy from the host makes it wait."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["constant"]


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """``values`` as a vector with ``like``'s dtype and device, copied there once.

    All callers share the vector; never modify it in place.
    """
    return _cached(values, like.dtype, like.device)


@lru_cache(maxsize=256)
def _cached(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # the first call may come from validation; autograd cannot use inference tensors
        return torch.tensor(values, dtype=dtype, device=device)
