"""Sweeps by Optuna. Hydra finds plug-ins in this namespace only, and imports them with any command."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

__all__ = ["OptunaSweeper"]

log = logging.getLogger(__name__)


class OptunaSweeper(Sweeper):
    """Jobs chosen by Optuna's tree-structured Parzen estimator; the study is in the sweep's folder.

    Args:
        n_trials: total number of jobs.
        mode: whether the largest (``max``) or the smallest (``min``) value of ``monitor`` is best.
        n_jobs: jobs chosen and launched together: more than one with a launcher that runs them in parallel.
        seed: of the sampler.
        params: search space by key; the command line overrides it.
    """

    hydra_context: HydraContext
    config: DictConfig

    def __init__(
        self,
        n_trials: int,
        mode: Literal["max", "min"],
        n_jobs: int = 1,
        seed: int = 0,
        params: dict[str, str] | None = None,
    ) -> None:
        self.n_trials, self.mode, self.n_jobs, self.seed, self.params = n_trials, mode, n_jobs, seed, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> list[Any]:
        # Imported here: Hydra imports this file with every application, also those of other packages.
        from jdrl_lightning.errors import UserError
        from jdrl_lightning.io.file_lock import exclusive
        from jdrl_lightning.sweeps.optuna_study import Study
        from jdrl_lightning.sweeps.search_space import corners, latest, split

        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = [*(f"{key}={value}" for key, value in self.params.items()), *arguments]
        overrides = latest(parser.parse_overrides(given))
        fixed, space = split(overrides)
        if not space:
            raise UserError("nothing to choose from: give objective.lam=interval(0.2,0.5), say, or optim=paper,cosine")
        self.validate_batch_is_legal([[*fixed, *settings] for settings in corners(space)])
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        done: list[Any] = []
        with exclusive(folder / "study.lock"):
            command = [str(override.input_line) for override in overrides]
            study = Study(folder, space, command, self.mode, self.seed)
            OmegaConf.save(self.config, folder / "multirun.yaml")
            while trials := study.next(max(1, self.n_jobs), self.n_trials):
                jobs = [[*fixed, *settings] for _, settings in trials]
                results = launcher.launch(jobs, initial_job_idx=trials[0][0])
                for (number, _), result in zip(trials, results, strict=True):
                    completed = result.status == JobStatus.COMPLETED
                    if not study.tell(number, result.return_value if completed else None) and completed:
                        log.warning("job %s has no finite %s: a failed trial", number, self.config.monitor)
                done += results
            if best := study.best():
                number, value, settings = best
                message = (study.path, number, self.config.monitor, value, " ".join(settings))
                log.info("best of %s: job %s, %s %.6g: %s", *message)
        for result in done:
            _ = result.return_value  # raises the error of a job that failed in this start
        return done
