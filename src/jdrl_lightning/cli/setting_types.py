"""Refuses words where a setting's default is a number, or true or false: ``objective.lam=abc``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import OmegaConf

from jdrl_lightning.cli import config
from jdrl_lightning.errors import UserError

__all__ = ["check_types"]

OR_WORDS = ("trainer.devices",)  # auto


def check_types(name: str, settings: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Compare the words among the ``overrides`` with the defaults of the command ``name``.

    Args:
        settings: as composed with the overrides; plain, interpolations need not be resolved.
        overrides: of the command line.

    Raises:
        UserError: names the first setting with a value of another kind, and its default.
    """
    keys = [override.lstrip("+~").partition("=")[0] for override in overrides]
    given = {key: _at(settings, key) for key in keys}
    doubtful = {key: value for key, value in given.items() if _is_word(value)}
    if not doubtful:
        return
    defaults = _defaults(name, [o for o, key in zip(overrides, keys, strict=True) if Path(config.CONF, key).is_dir()])
    for key, value in doubtful.items():
        default = _at(defaults, key)
        if isinstance(default, bool) and not isinstance(value, bool):
            raise UserError(f"{key}={value} is neither true nor false; the default is {str(default).lower()}")
        if key not in OR_WORDS and isinstance(default, int | float) and not isinstance(default, bool):
            raise UserError(f"{key}={value} is not a number; the default is {default}")


def _is_word(value: Any) -> bool:
    """Whether a value may be a mistake for a number; what exists as a file, and what is read elsewhere, is none."""
    return isinstance(value, bool) or (isinstance(value, str) and "${" not in value and not Path(value).exists())


def _at(settings: Any, key: str) -> Any:
    for part in key.split("."):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def _defaults(name: str, choices: list[str]) -> Any:
    """The plain config of ``name`` with no setting changed but the options that are chosen."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=config.CONF):
            return OmegaConf.to_container(compose(name, choices))
    except HydraException:  # of choices that only a sweep can have
        return {}
    finally:
        GlobalHydra.instance().clear()
        if running is not None:
            GlobalHydra.instance().initialize(running)
