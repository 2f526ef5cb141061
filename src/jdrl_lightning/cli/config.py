"""The configuration's search path, resolvers and hash. Imports neither torch nor lightning, so --help is fast."""

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
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from jdrl_lightning.errors import first_line
from jdrl_lightning.registry import distribution
from jdrl_lightning.runtime.distributed import launched_by

__all__ = ["CONF", "IDENTITY", "NOT_IDENTITY", "config_hash", "plain", "register"]

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).parents[1]
_PACKAGED = _PACKAGE / "conf"
# In a wheel, conf/ is inside the package; in a checkout, at the top level.
CONF = str(_PACKAGED if _PACKAGED.is_dir() else _PACKAGE.parents[1] / "conf")

# The settings that determine the training; devices, loggers and callbacks do not make it a different run.
IDENTITY = ("backbone", "objective", "flow", "data", "optim", "seed")
NOT_IDENTITY = ("num_workers", "on_error")  # of data: a run may be resumed with other values


class _PluginConfigs(SearchPathPlugin):
    """Adds the configuration packages of plug-ins, from the entry-point group ``jdrl_lightning.conf`` (``pkg://…``).

    Our options come first and cannot be replaced. A package that cannot be used is skipped with a warning; otherwise
    Hydra would fail every command.
    """

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for entry in entry_points(group="jdrl_lightning.conf"):
            problem = _problem(entry)
            if problem is None:
                search_path.append(provider=distribution(entry), path=f"pkg://{entry.value}")
            else:
                log.warning("plug-in %s: configuration %s skipped (%s)", distribution(entry), entry.value, problem)


def _problem(entry: EntryPoint) -> str | None:
    """Why Hydra cannot read the configuration package of ``entry``, or None."""
    try:
        if (resources.files(entry.value) / "__init__.py").is_file():
            return None
    except Exception as error:
        return first_line(error, kind=True)
    return "no __init__.py"


def register() -> None:
    """Register the plug-ins' configs and our resolvers with Hydra; may be called repeatedly."""
    Plugins.instance().register(_PluginConfigs)
    # A singleton, which Hydra deep-copies for each group listed by --help: most of the time that --help takes.
    ConfigStore.__deepcopy__ = lambda store, _: store  # type: ignore[attr-defined]
    OmegaConf.register_new_resolver("run_id", _run_id, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("group_options", _group_options, replace=True)


def _run_id() -> str:
    """Name of the run folder: the start time (torchrun's processes agree on one), or with srun the job and step."""
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        from torch.distributed import TCPStore

        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
        agreed: bytes = store.compare_set("jdrl_lightning/run_id", "", now)
        return agreed.decode()
    if launched_by() == "srun":
        return f"{os.environ['SLURM_JOB_ID']}-{os.environ['SLURM_STEP_ID']}"
    return now


def _group_options() -> str:
    """A line for each group to choose from, for --help; Hydra's own list has those within others, which are parts."""
    loader = GlobalHydra.instance().config_loader()
    groups = sorted(set(loader.list_groups("")) - {"hydra"})
    return "\n".join(f"{group}: {', '.join(sorted(loader.get_group_options(group)))}" for group in groups)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved config as plain dicts, lists, strings and numbers; a missing value (``???``) raises."""
    values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def config_hash(config: dict[str, Any]) -> str:
    """A short hash of the settings in ``IDENTITY``: the same for a run and its resumption."""
    identity = {key: config.get(key) for key in IDENTITY}
    if isinstance(identity["data"], dict):
        identity["data"] = {key: value for key, value in identity["data"].items() if key not in NOT_IDENTITY}
    return hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:12]
