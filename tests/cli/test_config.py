"""What we register with Hydra."""

from __future__ import annotations

import copy

from hydra.core.config_store import ConfigStore

from jdrl_lightning.cli import config


def test_the_config_store_is_not_deep_copied() -> None:
    config.register()
    assert copy.deepcopy({"store": ConfigStore.instance()})["store"] is ConfigStore.instance()
