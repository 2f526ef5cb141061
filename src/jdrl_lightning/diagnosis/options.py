"""The options of the config groups, including the plug-ins', and whether each composes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli.config import CONF
from jdrl_lightning.errors import check_choice

__all__ = ["LISTS", "broken", "descriptions", "group_of", "option_file"]

LISTS = {
    "backbones": "backbone",
    "flows": "flow",
    "data": "data",
    "objectives": "objective",
    "experiments": "experiment",
}


def group_of(listed: str) -> str:
    """The configuration group behind ``list=…``."""
    check_choice("list", listed, LISTS)
    return LISTS[listed]


def descriptions(group: str) -> dict[str, str]:
    """Every option of a group with the first comment line of its file; requires an initialized Hydra."""
    return {name: _first_comment(group, name) for name in _loader().get_group_options(group)}


def broken() -> dict[str, str]:
    """The options, as ``group=name``, with which the training config does not compose, and the error.

    Only those of plug-ins and of the user: composing takes a tenth of a second each, and the package's own are tested.
    """
    errors = {}
    for group in _loader().list_groups(""):
        if group == "hydra":
            continue
        for name in _loader().get_group_options(group):
            if option_file(group, name) == Path(CONF, group, f"{name}.yaml"):
                continue
            try:
                compose("train", [f"{group}={name}"])
            except Exception as error:  # a plug-in's yaml may raise anything
                errors[f"{group}={name}"] = " ".join(str(error).split())[:300]
    return errors


def option_file(group: str, name: str) -> Any:
    """The file of an option, as a path or what can be read like one; None: there is none."""
    return next((file for root in _roots() if (file := root / group / f"{name}.yaml").is_file()), None)


def _first_comment(group: str, name: str) -> str:
    if (file := option_file(group, name)) is None:
        return ""
    comments = [line for line in file.read_text().splitlines() if line.startswith("#")]
    return next((line.lstrip("# ") for line in comments if "@package" not in line), "")


def _roots() -> Iterator[Any]:
    for source in _loader().get_search_path().get_path():
        scheme, _, path = source.path.partition("://")
        if scheme == "pkg":
            yield resources.files(path)
        elif scheme != "structured":
            yield Path(path or source.path)  # a plain path has no scheme


def _loader() -> Any:
    return GlobalHydra.instance().config_loader()
