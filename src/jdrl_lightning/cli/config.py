"""Where the configuration lies, and what it may refer to. Imports neither torch nor lightning: --help is instant."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from datetime import datetime
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from jdrl_lightning.errors import first_line
from jdrl_lightning.registry import distribution
from jdrl_lightning.runtime.distributed import launched_by

__all__ = ["CONF", "IDENTITY", "config_hash", "plain", "register"]

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]
_PACKAGED = _PACKAGE / "conf"
# Installed from a wheel, conf/ lies inside the package; in a checkout, at the top level.
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parents[1] / "conf")

# What decides how a run trains; two runs with the same values are the same run, on whatever devices and loggers.
IDENTITY = ("backbone", "objective", "flow", "data", "optim", "seed")
_HOW_LOADED = ("num_workers", "on_error")  # of data: a run goes on with other values


class _PluginConfigs(SearchPathPlugin):
    """Installed packages add their yaml through the entry-point group ``jdrl_lightning.conf``: ``pkg://their.conf``.

    Ours comes first, so that a plug-in cannot replace an option of ours. A package that cannot be used is left out with
    a warning: Hydra would end every command of ours with its error.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for entry in entry_points(group="jdrl_lightning.conf"):
            wrong = _problem(entry)
            if wrong is None:
                search_path.append(provider=distribution(entry), path=f"pkg://{entry.value}")
            else:
                log.warning(
                    "plug-in %s: its configuration %s is left out (%s)", distribution(entry), entry.value, wrong
                )


def _problem(entry: EntryPoint) -> str | None:
    """Why Hydra cannot read the configuration package of ``entry``; None: it can."""
    try:
        if (resources.files(entry.value) / "__init__.py").is_file():
            return None
    except Exception as error:
        return first_line(error, kind=True)
    return "it has no __init__.py"


def register() -> None:
    """Make the plug-ins' configs and ``${run_id:}`` known to Hydra; harmless when called again."""
    Plugins.instance().register(_PluginConfigs)
    # There is one for the process; Hydra copies it for each group that --help lists, which takes most of its time.
    ConfigStore.__deepcopy__ = lambda store, _: store  # type: ignore[attr-defined]
    OmegaConf.register_new_resolver("run_id", _run_id, use_cache=True, replace=True)


def _run_id() -> str:
    """Name of a run's folder: the time, which all processes that torchrun has started agree on, or srun's job."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        from torch.distributed import TCPStore

        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        agreed: bytes = store.compare_set("jdrl_lightning/run_id", "", now)
        return agreed.decode()
    if launched_by() == "srun":
        return f"{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
    return now


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as dicts, lists, strings and numbers; a value still ``???`` raises."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def config_hash(config: dict[str, Any]) -> str:
    """A short name of how ``config`` trains: the same for a run and its continuation."""
    identity = {key: config.get(key) for key in IDENTITY}
    if isinstance(identity["data"], dict):
        identity["data"] = {key: value for key, value in identity["data"].items() if key not in _HOW_LOADED}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
