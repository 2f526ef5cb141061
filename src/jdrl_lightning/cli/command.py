"""One Hydra job: what the user did wrong ends in one line, everything else in a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from jdrl_lightning.cli import config
from jdrl_lightning.cli.error_messages import USER_ERRORS, error_message
from jdrl_lightning.errors import INTERRUPTED, UserError
from jdrl_lightning.io.atomic import disk_problem

__all__ = ["command"]


def command(name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn ``task(cfg)`` into a command composed from ``conf/<name>.yaml``."""

    def refuse(error: Exception) -> NoReturn:
        print(f"error: {error_message(error, name, sys.argv[1:])}", file=sys.stderr)
        sys.exit(1)

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def job(cfg: DictConfig) -> Any:
            try:
                return task(cfg)
            except USER_ERRORS as error:
                if HydraConfig.get().mode == RunMode.MULTIRUN:
                    raise  # the other jobs go on; a SystemExit would end them all
                refuse(error)

        job.__module__ = "__main__" if task.__module__ == "__main__" else task.__module__
        main = hydra.main(version_base="1.3", config_path=config.CONF, config_name=name)(job)

        def run() -> None:
            config.register()
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what it would print in several lines itself
            try:
                main()
            except USER_ERRORS as error:
                refuse(error)
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
            except OSError as error:  # Hydra's, which makes the run's folder
                if (told := disk_problem(error)) is None:
                    raise
                refuse(UserError(told))

        return run

    return decorate
