"""``torch.compile`` with its failures as one-line user errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from jdrl_lightning.errors import UserError, first_line

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(run: Callable[P, R]) -> Callable[P, R]:
    """``run``, compiled at the first call and again for each new input size; needs a C++ compiler, on CUDA also Triton.

    Returns:
        A function, so that a module storing it does not register ``run`` as a second submodule.

    Raises:
        UserError: on a call, if compilation fails.
    """
    fast = torch.compile(run)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fast(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            # The first line of a backend's error only names the backend.
            cause = getattr(error, "inner_exception", error)
            raise UserError(f"compile=true: torch.compile failed ({first_line(cause)}); set compile=false") from error

    return call
