"""Errors of Hydra and OmegaConf as one line with a remedy."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, MissingMandatoryValue

from jdrl_lightning.cli import config
from jdrl_lightning.errors import UserError, first_line

__all__ = ["USER_ERRORS", "error_message", "unknown_option"]

# What the user can fix. Any other error of OmegaConf is a bug in our use of the config and keeps its traceback.
USER_ERRORS = (UserError, HydraException, MissingMandatoryValue, InterpolationResolutionError)

_UNKNOWN = re.compile(r"Could not (?:override|delete)(?: from config\.)? '([^']+)'")
_CHOICES = re.compile(r"Ambiguous value for argument '([^'=]+)=([^']*)'")
_DEVICES = {("trainer", device) for device in ("cpu", "cuda", "gpu", "mps", "tpu")}
# Hydra's own; what else begins with a dash is a setting written as other programs' options are.
_HYDRAS = {
    "-h", "--help", "--hydra-help", "--version", "-c", "--cfg", "--resolve", "-p", "--package", "-r", "--run", "-m",
    "--multirun", "-sc", "--shell-completion", "-cp", "--config-path", "-cn", "--config-name", "-cd", "--config-dir",
    "--experimental-rerun", "-i", "--info",
}  # fmt: skip
_DUPLICATE = re.compile(r"Multiple values for ([^\s.]+)|already at '([^']+)'")


def error_message(error: Exception, name: str, arguments: list[str]) -> str:
    """One line for ``error``, one of ``USER_ERRORS``, raised by the command ``name`` with ``arguments``."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is missing: set {error.full_key}=..."
    if isinstance(error, MissingConfigException) and error.options:
        group, _, option = str(error.missing_cfg_file).rpartition("/")
        line = f"{group}={option}: no such option; known: {', '.join(sorted(error.options))}"
        return line + (f"; write trainer.accelerator={option}" if (group, option) in _DEVICES else "")
    if isinstance(error, OverrideParseException):
        given, sign, value = str(error.override).partition("=")
        if not sign or not given:
            return f"{error.override}: not a setting; write <name>=<value>, without spaces around ="
        return f"{error.override}: cannot be read ({first_line(error)}); write \"{given}='{value or '…'}'\""
    if unknown := _UNKNOWN.search(str(error)):
        return f"{unknown[1]}: no such setting; {_hint(unknown[1], _names(name, arguments, unknown[1]))}"
    if duplicate := _DUPLICATE.search(str(error)):
        key = duplicate[1] or duplicate[2]
        return f"{key} is already set: write {key}=... without the +"
    if several := _CHOICES.search(str(error)):
        key, value = several[1], several[2]
        point = f"{key}={value.replace(',', '.')}" if re.fullmatch(r"-?\d+,\d+", value) else f"{key}=[{value}]"
        return f"{key}={value}: several values; write {point}, or add -m to try each in a sweep"
    causes = [cause for cause in (error, error.__cause__) if cause is not None and str(cause)]
    key = getattr(error, "full_key", None)
    return (f"{key}: " if key else "") + "; ".join(map(first_line, causes or [error]))


def unknown_option(arguments: list[str]) -> str | None:
    """One line for the first of the ``arguments`` that begins with a dash and is no option of Hydra's; else None."""
    for number, argument in enumerate(arguments):
        name, sign, value = argument.partition("=")
        if argument.startswith("-") and name not in _HYDRAS:
            following = arguments[number + 1] if not sign and number + 1 < len(arguments) else value
            setting = name.lstrip("-").replace("-", "_")
            return f"{argument}: settings have no dashes; write {setting}={following or '<value>'} (--help lists all)"
    return None


def _hint(key: str, names: list[str]) -> str:
    if key in names:
        return "not every option of the sweep has it: run separate sweeps"
    parent, _, last = key.rpartition(".")
    siblings = [name for name in names if name.rpartition(".")[0] == parent]
    near = [f"{parent}.{match}" if parent else match for match in get_close_matches(last, [_last(n) for n in siblings])]
    others = [name for name in names if name not in siblings and not key.startswith(f"{name}.")]
    start = f"{parent}." if parent and siblings else ""  # common to all names below it, which it would make alike
    below = [name.removeprefix(start) for name in others if name.startswith(start)]
    near = near or [start + match for match in get_close_matches(key.removeprefix(start), below)]
    near = near or [name for name in others if _last(name) == last][:3]
    if near:
        return f"did you mean {' or '.join(near)}? (--help lists all)"
    return f"{parent} has {', '.join(map(_last, siblings))}" if parent and siblings else "--help lists all"


def _key(argument: str) -> str:
    return argument.lstrip("+~").partition("=")[0]


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _names(name: str, arguments: list[str], refused: str) -> list[str]:
    """All dotted names of the config without the ``refused`` override.

    If other overrides fail too, those with the chosen options alone; if these fail as well, those by default.
    """
    others = [a for a in arguments if not a.startswith("-") and _key(a) != refused]
    choices = [a for a in others if Path(config.CONF, _key(a).partition("@")[0]).is_dir()]
    for overrides in (others, choices, []):
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
