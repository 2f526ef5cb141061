"""The only place that calls what a config names as ``_target_``.

A checkpoint's config is untrusted. Hydra's own block list is best-effort, so only what is defined here may be called.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import hydra.utils
from hydra.errors import InstantiationException

from jdrl_lightning.errors import UserError

__all__ = ["TRUSTED", "TRUSTED_TRAINING", "check_targets", "instantiate"]

TRUSTED = ("jdrl_lightning.rates.", "torch.optim.")
TRUSTED_TRAINING = ("jdrl_lightning.callbacks.", "lightning.pytorch.callbacks.", "lightning.pytorch.loggers.")


def instantiate(config: Any, allowed: tuple[str, ...] = TRUSTED) -> Any:
    """``hydra.utils.instantiate`` for targets that are defined in one of the ``allowed`` modules.

    Raises:
        UserError: see :func:`check_targets`; or raised by what was called.
    """
    check_targets(config, allowed)
    try:
        return hydra.utils.instantiate(config)
    except InstantiationException as error:
        if isinstance(error.__cause__, UserError):
            raise error.__cause__ from None
        raise


def check_targets(config: Any, allowed: tuple[str, ...] = TRUSTED) -> None:
    """Refuse a config that names anything to call that is not ``allowed``, at any depth.

    Raises:
        UserError: a target that is not allowed or does not exist, or an interpolation, which could become one.
    """
    for key, value in _strings(config):
        if key == "_target_" and not (value.startswith(allowed) and _defined_in(value).startswith(allowed)):
            raise UserError(
                f"the config's _target_ {value!r} is refused; allowed: {', '.join(p + '*' for p in allowed)}"
            )
        if "${" in value:  # configs come here resolved; what this would become could not be checked
            raise UserError(f"the config's {key}={value!r} is refused: an interpolation has no place here")


def _strings(config: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every value that is not a container, as a string, with its key."""
    if isinstance(config, Mapping):
        for name, value in config.items():
            yield from _strings(value, str(name))
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _strings(value, key)
    else:
        yield key, str(config)


def _defined_in(target: str) -> str:
    """The module of a class or function, with a dot; what it imports (``jdrl_lightning.io.atomic.os``) is elsewhere."""
    try:
        return f"{getattr(hydra.utils.get_object(target), '__module__', None)}."
    except Exception as error:
        raise UserError(f"the config's _target_ {target!r} does not exist") from error
