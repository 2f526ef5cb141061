"""Alias of :func:`jdrl_lightning.types.to_float` under its former import path."""

from jdrl_lightning.types import to_float

__all__ = ["to_float"]
