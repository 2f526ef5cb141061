"""Errors of Hydra and OmegaConf as one line with a remedy."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from jdrl_lightning.cli import config
from jdrl_lightning.errors import UserError, first_line

__all__ = ["USER_ERRORS", "error_message"]

# What the user can fix. Any other error of OmegaConf is a bug in our use of the config and keeps its traceback.
USER_ERRORS = (UserError, HydraException, MissingMandatoryValue, InterpolationResolutionError)

_UNKNOWN = re.compile(r"Could not (?:override|delete)(?: from config\.)? '([^']+)'")
_DUPLICATE = re.compile(r"Multiple values for ([^\s.]+)|already at '([^']+)'")


def error_message(error: Exception, name: str, arguments: list[str]) -> str:
    """One line for ``error``, one of ``USER_ERRORS``, raised by the command ``name`` with ``arguments``."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing: set {error.full_key}=..."
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={option}: no such option; known: {', '.join(sorted(error.options))}"
    if isinstance(error, OverrideParseException):
        given, _, value = str(error.override).partition("=")
        return f"{error.override}: cannot be read ({first_line(error)}); write \"{given}='{value or '…'}'\""
    if unknown := _UNKNOWN.search(str(error)):
        return f"{unknown[1]}: no such setting; {_hint(unknown[1], _names(name, arguments, unknown[1]))}"
    if duplicate := _DUPLICATE.search(str(error)):
        key = duplicate[1] or duplicate[2]
        return f"{key} is already set: write {key}=... without the +"
    causes = [cause for cause in (error, error.__cause__) if cause is not None and str(cause)]
    key = getattr(error, "full_key", None)
    return (f"{key}: " if key else "") + "; ".join(map(first_line, causes or [error]))


def _hint(key: str, names: list[str]) -> str:
    if key in names:
        return "not every option of the sweep has it: run separate sweeps"
    parent, _, last = key.rpartition(".")
    siblings = [name for name in names if name.rpartition(".")[0] == parent]
    near = [f"{parent}.{match}" if parent else match for match in get_close_matches(last, [_last(n) for n in siblings])]
    others = [name for name in names if name not in siblings and not key.startswith(f"{name}.")]
    near = near or get_close_matches(key, others) or [name for name in others if _last(name) == last][:3]
    if near:
        return f"did you mean {' or '.join(near)}? (--help lists all)"
    return f"{parent} has {', '.join(map(_last, siblings))}" if parent and siblings else "--help lists all"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names(name: str, arguments: list[str], refused: str) -> list[str]:
    """All dotted names of the config without the ``refused`` override, or by default if other overrides fail too."""
    others = [a for a in arguments if not a.startswith("-") and a.lstrip("+~").partition("=")[0] != refused]
    for overrides in (others, []):
        GlobalHydra.instance().clear()
        try:
            with initialize_config_dir(version_base="1.3", config_dir=config.CONF):
                return list(_dotted(OmegaConf.to_container(compose(name, overrides)), ""))
        except HydraException:  # a second error, or the options of a sweep
            continue
    return []


def _dotted(value: Any, prefix: str) -> list[str]:
    if not isinstance(value, dict):
        return []
    found = []
    for key, item in value.items():
        found += [f"{prefix}{key}", *_dotted(item, f"{prefix}{key}.")]
    return found
