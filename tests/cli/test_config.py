"""What Hydra is told about ours."""

from __future__ import annotations

import copy

from hydra.core.config_store import ConfigStore

from jdrl_lightning.cli import config


def test_the_table_of_configs_is_not_copied_for_each_group_that_help_lists() -> None:
    config.register()
    assert copy.deepcopy({"store": ConfigStore.instance()})["store"] is ConfigStore.instance()
