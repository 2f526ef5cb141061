"""Where the configuration lies, and what it may refer to. Imports neither torch nor lightning: --help is instant."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

__all__ = ["CONF", "IDENTITY", "config_hash", "plain", "register"]

_PACKAGE = Path(__file__).parent
_PACKAGED = _PACKAGE / "conf"
# Installed from a wheel, conf/ lies inside the package; in a checkout, at the top level.
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parents[1] / "conf")

# What decides how a run trains; two runs with the same values are the same run, on whatever devices and loggers.
IDENTITY = ("backbone", "objective", "flow", "data", "optim", "seed")


class _PluginConfigs(SearchPathPlugin):
    """Installed packages add their yaml through the entry-point group ``jdrl_lightning.conf``: ``pkg://their.conf``."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for entry in entry_points(group="jdrl_lightning.conf"):
            search_path.append(provider=entry.name, path=f"pkg://{entry.value}")


def register() -> None:
    """Make the plug-ins' configs known to Hydra; harmless when called again."""
    Plugins.instance().register(_PluginConfigs)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as dicts, lists, strings and numbers."""
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def config_hash(config: dict[str, Any]) -> str:
    """A short name of how ``config`` trains: the same for a run and its continuation."""
    identity = {key: config.get(key) for key in IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
