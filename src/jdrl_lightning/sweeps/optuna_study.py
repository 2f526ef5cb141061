"""An Optuna study in a sweep's folder: what its jobs have tried, in whichever start of the sweep, and what is next."""

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
COMMAND, SETTINGS = "command", "settings"  # names of what is stored with the study, and with a trial


class Study:
    """Trials are the sweep's jobs, by number.

    A trial that still runs when jobs are asked for was interrupted with an earlier start, and comes first. What is
    proposed depends on ``seed``, the trial's number and the results so far alone: a sweep in two parts proposes what an
    uninterrupted one does.

    Args:
        folder: of the sweep; ``study.db`` in it is gone on with.
        space: what is chosen for each trial.
        command: all that the trials share and the space, as text: a study is of one command.
        mode: whether the largest or the smallest value is best.
        seed: of the proposals.

    Raises:
        UserError: Optuna is missing, or the file is no study, or one of another command.
    """

    def __init__(
        self, folder: Path, space: Space, command: Sequence[str], mode: Literal["max", "min"], seed: int
    ) -> None:
        self.space, self.seed, self.path = space, seed, folder / FILE
        self._study = _opened(self.path, mode)
        asked = sorted([*command, f"{mode}imum"])
        stored = self._study.user_attrs.get(COMMAND)
        if stored is None:
            self._study.set_user_attr(COMMAND, asked)
        elif differing := sorted(set(asked) ^ set(stored)):
            told = ", ".join(differing)
            raise UserError(f"{self.path} is a study of other settings ({told}); give hydra.sweep.dir=<a new folder>")

    def next(self, together: int, total: int) -> list[tuple[int, list[str]]]:
        """Up to ``together`` trials, as consecutive numbers and settings, until there have been ``total``."""
        from optuna.trial import TrialState

        left = []
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):
            if SETTINGS in trial.user_attrs:
                left.append((trial.number, trial.user_attrs[SETTINGS]))
            else:  # interrupted before there was a job
                self._study.tell(trial.number, state=TrialState.FAIL)
        if left:
            return left[:together]
        tried = sum(SETTINGS in trial.user_attrs for trial in self._study.trials)
        return [self._propose() for _ in range(min(together, total - tried))]

    def tell(self, number: int, value: float | None) -> bool:
        """Note how a trial has ended; whether with a finite value, without which it is one that failed."""
        from optuna.trial import TrialState

        if value is None or not math.isfinite(value):
            self._study.tell(number, state=TrialState.FAIL)
            return False
        self._study.tell(number, value)
        return True

    def best(self) -> tuple[int, float, list[str]] | None:
        """Number, value and settings of the best trial so far."""
        try:
            trial = self._study.best_trial
        except ValueError:  # none has a value
            return None
        assert trial.value is not None
        return trial.number, trial.value, trial.user_attrs[SETTINGS]

    def _propose(self) -> tuple[int, list[str]]:
        from optuna.samplers import TPESampler

        number = len(self._study.trials)
        # One sampler for all would begin its random numbers again with each start.
        self._study.sampler = TPESampler(seed=random.Random(f"{self.seed}/{number}").getrandbits(32))
        trial = self._study.ask()
        settings = [f"{key}={_suggested(trial, key, among)}" for key, among in self.space.items()]
        trial.set_user_attr(SETTINGS, settings)
        return trial.number, settings


def _suggested(trial: optuna.Trial, key: str, among: Choice | Interval) -> str | float:
    if isinstance(among, Choice):
        return trial.suggest_categorical(key, among.values)
    if among.whole:
        return trial.suggest_int(key, int(among.low), int(among.high), step=int(among.step or 1), log=among.log)
    return trial.suggest_float(key, among.low, among.high, step=among.step, log=among.log)


def _opened(path: Path, mode: Literal["max", "min"]) -> optuna.Study:
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
    except (DatabaseError, RuntimeError) as error:  # no database; another Optuna's
        told = first_line(error)
        raise UserError(f"{path}: cannot be used as a study ({told}); give hydra.sweep.dir=<a new folder>") from error
