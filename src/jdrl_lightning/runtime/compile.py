"""``torch.compile`` that says in one line what this machine lacks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from jdrl_lightning.errors import UserError, first_line

__all__ = ["compiled"]

P = ParamSpec("P")
R = TypeVar("R")


def compiled(run: Callable[P, R]) -> Callable[P, R]:
    """``run``, compiled at its first call, and again for another size; needs a C++ compiler, on CUDA also Triton.

    Returns:
        A function, so that a module that keeps it does not own ``run`` a second time.

    Raises:
        UserError: when called, what compilation lacks.
    """
    fast = torch.compile(run)

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fast(*args, **kwargs)
        except torch._dynamo.exc.TorchDynamoException as error:
            raise UserError(
                f"compile=true: torch.compile fails here ({first_line(error)}); set compile=false"
            ) from error

    return call
