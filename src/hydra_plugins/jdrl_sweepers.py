"""The sweepers of jdrl_lightning; Hydra takes plug-ins from this namespace only, and imports them with any command."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

__all__ = ["OptunaSweeper", "WandbSweeper"]

log = logging.getLogger(__name__)


class _Search(Sweeper):
    """A sweeper whose jobs somebody chooses from what the overrides span.

    Args:
        n_trials: number of jobs.
        mode: whether the largest (``max``) or the smallest (``min``) value of ``monitor`` is best.
        params: overrides that the command line's come after, by key.
    """

    hydra_context: HydraContext
    config: DictConfig

    def __init__(self, n_trials: int, mode: Literal["max", "min"], params: dict[str, str] | None = None) -> None:
        self.n_trials, self.mode, self.params = n_trials, mode, params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        from jdrl_lightning.errors import UserError
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
        return self.search(folder, fixed, space, [str(override.input_line) for override in overrides])

    @abstractmethod
    def search(self, folder: Path, fixed: list[str], space: Any, command: Sequence[str]) -> Any:
        """Do the sweep in ``folder``: jobs with the overrides ``fixed`` and a choice from ``space``, together the
        ``command``."""


class OptunaSweeper(_Search):
    """Jobs chosen by Optuna's tree-structured Parzen estimator; the study is in the sweep's folder.

    Args:
        n_jobs: jobs that are chosen and launched together: more than one with a launcher that runs them so.
        seed: of the choices.
    """

    def __init__(self, n_jobs: int = 1, seed: int = 0, **settings: Any) -> None:
        super().__init__(**settings)
        self.n_jobs, self.seed = n_jobs, seed

    def search(self, folder: Path, fixed: list[str], space: Any, command: Sequence[str]) -> list[Any]:
        from jdrl_lightning.io.file_lock import exclusive
        from jdrl_lightning.sweeps.optuna_study import Study

        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=self.task_function, config=self.config
        )
        done: list[Any] = []
        with exclusive(folder / "study.lock"):
            study = Study(folder, space, command, self.mode, self.seed)
            OmegaConf.save(self.config, folder / "multirun.yaml")
            while trials := study.next(max(1, self.n_jobs), self.n_trials):
                jobs = [[*fixed, *settings] for _, settings in trials]
                results = launcher.launch(jobs, initial_job_idx=trials[0][0])
                for (number, _), result in zip(trials, results, strict=True):
                    ended = result.status == JobStatus.COMPLETED
                    if not study.tell(number, result.return_value if ended else None) and ended:
                        log.warning("job %s has no finite %s: a trial that failed", number, self.config.monitor)
                done += results
            if best := study.best():
                number, value, settings = best
                told = (study.path, number, self.config.monitor, value, " ".join(settings))
                log.info("best of %s: job %s, %s %.6g: %s", *told)
        for result in done:
            _ = result.return_value  # raises what a job of this start has failed with
        return done


class WandbSweeper(_Search):
    """Launches nothing: writes the file for ``wandb sweep``, whose server chooses and whose agents run the jobs.

    Args:
        method: by which the server chooses: ``bayes``, ``random`` or ``grid``.
    """

    def __init__(self, method: str = "bayes", **settings: Any) -> None:
        super().__init__(**settings)
        self.method = method

    def search(self, folder: Path, fixed: list[str], space: Any, command: Sequence[str]) -> None:
        import yaml

        from jdrl_lightning.errors import UserError
        from jdrl_lightning.io.atomic import atomic_write
        from jdrl_lightning.sweeps.wandb_sweep import definition

        config = self.config
        if "wandb" not in (config.logger or {}):
            raise UserError("sweep=wandb needs the logger that tells W&B what came of a job: leave logger=... out")
        own = [
            f"--config-dir={source.path}"
            for source in config.hydra.runtime.config_sources
            if source.provider == "command-line"
        ]
        common = [setting for setting in fixed if setting.partition("=")[0] not in ("sweep", "logger")]
        # The folder is called like the run: agents that start in the same second would share one called like the time.
        where = f"hydra.run.dir={_quoted(f'{folder}/${{oc.env:WANDB_RUN_ID}}')}"
        content = definition(
            space,
            [*own, *common, f"logger={config.hydra.runtime.choices.logger}", where],
            name="/".join(folder.parts[-2:]),
            project=config.logger.wandb.project,
            monitor=config.monitor,
            mode=self.mode,
            method=self.method,
            runs=self.n_trials,
        )
        file = folder / "wandb_sweep.yaml"
        with atomic_write(file, "w") as written:
            yaml.safe_dump(content, written, sort_keys=False)
        log.info("%s is written. Begin with: wandb sweep %s", file, file)
        log.info("Then, on each machine and from this folder: wandb agent <what it says>")


def _quoted(value: str) -> str:
    """As Hydra reads it in an override; what stands in ``${}`` is still resolved."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
