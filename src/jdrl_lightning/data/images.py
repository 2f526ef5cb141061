"""The former place of :func:`jdrl_lightning.types.to_float`, which earlier documentation imports from here."""

from jdrl_lightning.types import to_float

__all__ = ["to_float"]
