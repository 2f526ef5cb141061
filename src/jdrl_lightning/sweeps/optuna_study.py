"""An Optuna study stored in the sweep's folder, so that an interrupted sweep can be resumed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jdrl_lightning.errors import UserError, first_line
from jdrl_lightning.sweeps.search_space import Choice, Interval, Space

if TYPE_CHECKING:
    import optuna

__all__ = ["FILE", "Study"]

FILE = "study.db"
COMMAND, SETTINGS = "command", "settings"  # user attributes of the study and of a trial


class Study:
    """A study whose trials are the jobs of a sweep, with the same numbers.

    A trial that is still running when jobs are requested was interrupted earlier and is returned first. Proposals
    depend only on ``seed``, the trial's number and the results so far, so that a resumed sweep proposes the same jobs
    as an uninterrupted one.

    Args:
        folder: the sweep's; an existing ``study.db`` in it is resumed.
        space: the search space.
        command: all overrides, the search space included; a study belongs to one command.
        mode: maximize or minimize the value.
        seed: of the proposals.

    Raises:
        UserError: Optuna is missing, or the file is not a study, or a study of another command.
    """

    def __init__(
        self, folder: Path, space: Space, command: Sequence[str], mode: Literal["max", "min"], seed: int
    ) -> None:
        self.space, self.seed, self.path = space, seed, folder / FILE
        self._study = _open(self.path, mode)
        asked = sorted([*command, f"{mode}imum"])
        stored = self._study.user_attrs.get(COMMAND)
        if stored is None:
            self._study.set_user_attr(COMMAND, asked)
        elif differing := sorted(set(asked) ^ set(stored)):
            raise UserError(
                f"{self.path} is a study of other settings ({', '.join(differing)}); set hydra.sweep.dir=<a new folder>"
            )

    def next(self, batch: int, total: int) -> list[tuple[int, list[str]]]:
        """Numbers and settings of the next trials: at most ``batch``, and at most ``total`` in the whole study."""
        from optuna.trial import TrialState

        interrupted = []
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if SETTINGS in trial.user_attrs:
                interrupted.append((trial.number, trial.user_attrs[SETTINGS]))
            else:  # interrupted before its settings were stored
                self._study.tell(trial.number, state=TrialState.FAIL)
        if interrupted:
            return interrupted[:batch]
        tried = sum(SETTINGS in trial.user_attrs for trial in self._study.trials)
        return [self._propose() for _ in range(min(batch, total - tried))]

    def tell(self, number: int, value: float | None) -> bool:
        """Store the result of a trial; without a finite value it counts as failed. Returns whether it succeeded."""
        from optuna.trial import TrialState

        if value is None or not math.isfinite(value):
            self._study.tell(number, state=TrialState.FAIL)
            return False
        self._study.tell(number, value)
        return True

    def best(self) -> tuple[int, float, list[str]] | None:
        """Number, value and settings of the best trial so far; None without one."""
        try:
            trial = self._study.best_trial
        except ValueError:  # no trial has a value
            return None
        assert trial.value is not None
        return trial.number, trial.value, trial.user_attrs[SETTINGS]

    def _propose(self) -> tuple[int, list[str]]:
        from optuna.samplers import TPESampler

        number = len(self._study.trials)
        # A single sampler would repeat its random numbers after each resume.
        self._study.sampler = TPESampler(seed=random.Random(f"{self.seed}/{number}").getrandbits(32))
        trial = self._study.ask()
        settings = [f"{key}={_suggest(trial, key, domain)}" for key, domain in self.space.items()]
        trial.set_user_attr(SETTINGS, settings)
        return trial.number, settings


def _suggest(trial: optuna.Trial, key: str, domain: Choice | Interval) -> str | float:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(key, domain.values)
    if domain.whole:
        return trial.suggest_int(key, int(domain.low), int(domain.high), step=int(domain.step or 1), log=domain.log)
    return trial.suggest_float(key, domain.low, domain.high, step=domain.step, log=domain.log)


def _open(path: Path, mode: Literal["max", "min"]) -> optuna.Study:
    try:
        import optuna
    except ImportError:
        raise UserError("sweep=optuna needs Optuna: pip install 'jdrl_lightning[optuna]'") from None
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import DatabaseError

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = URL.create("sqlite", database=str(path)).render_as_string()
    try:
        return optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction="maximize" if mode == "max" else "minimize",
            load_if_exists=True,
        )
    except (DatabaseError, RuntimeError) as error:  # not a database; a study of another Optuna version
        raise UserError(
            f"{path}: cannot be used as a study ({first_line(error)}); set hydra.sweep.dir=<a new folder>"
        ) from error
