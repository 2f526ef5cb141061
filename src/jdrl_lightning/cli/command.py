"""Runs a command with Hydra: user errors are printed in one line, any other error keeps its traceback."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from jdrl_lightning.cli import config
from jdrl_lightning.cli.error_messages import USER_ERRORS, error_message, unknown_option
from jdrl_lightning.cli.run_folder import leave_unused
from jdrl_lightning.cli.setting_types import check_types
from jdrl_lightning.errors import INTERRUPTED, UserError
from jdrl_lightning.io.atomic import disk_problem

__all__ = ["command"]

STDOUT = 1


def command(name: str) -> Callable[[Callable[[DictConfig], Any]], Callable[[], None]]:
    """Turn ``task(cfg)`` into a command composed from ``conf/<name>.yaml``."""

    def exit_with(error: Exception) -> NoReturn:
        print(f"error: {error_message(error, name, sys.argv[1:])}", file=sys.stderr)
        sys.exit(1)

    def decorate(task: Callable[[DictConfig], Any]) -> Callable[[], None]:
        def job(cfg: DictConfig) -> Any:
            hydra = HydraConfig.get()
            try:
                check_types(name, OmegaConf.to_container(cfg), hydra.overrides.task)  # type: ignore[arg-type]
                return task(cfg)
            except USER_ERRORS as error:
                if hydra.mode == RunMode.MULTIRUN:
                    raise  # a SystemExit would end the whole sweep, not only this job
                leave_unused(Path(hydra.runtime.output_dir), hydra.job.name)
                exit_with(error)
            except (KeyboardInterrupt, SystemExit):
                if hydra.mode != RunMode.MULTIRUN:
                    leave_unused(Path(hydra.runtime.output_dir), hydra.job.name)
                raise

        job.__module__ = "__main__" if task.__module__ == "__main__" else task.__module__
        main = hydra.main(version_base="1.3", config_path=config.CONF, config_name=name)(job)

        def run() -> None:
            config.register()
            if (dashed := unknown_option(sys.argv[1:])) is not None:
                exit_with(UserError(dashed))
            os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing several lines
            try:
                main()
                print(end="", flush=True)  # if this fails it is reported here, not on exit
            except USER_ERRORS as error:
                exit_with(error)
            except KeyboardInterrupt:
                sys.exit(INTERRUPTED)
            except OSError as error:  # from Hydra, which creates the run folder, or from writing to stdout
                if isinstance(error, BrokenPipeError) and _reader_gone():
                    sys.exit(1)
                if (message := disk_problem(error)) is None:
                    raise
                exit_with(UserError(message))

        return run

    return decorate


def _reader_gone() -> bool:
    """Whether stdout is a pipe closed at its other end, as by ``| head``; if so, nothing more is written to it."""
    poll = select.poll()
    poll.register(STDOUT, 0)
    if gone := bool(poll.poll(0)):
        os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)
    return gone
