"""Fixed numbers on the device that computes with them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["constant"]


def constant(values: tuple[float, ...], like: Tensor) -> Tensor:
    """``values`` as a vector of ``like``'s type on its device, copied there once: the host waits for such a copy.

    The vector is shared: what changes it in place changes it for everybody.
    """
    return _copied(values, like.dtype, like.device)


@lru_cache(maxsize=256)
def _copied(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a validation may be the first to ask, and training could not use it then
        return torch.tensor(values, dtype=dtype, device=device)
