"""Trials of a study: resumed as if uninterrupted, and kept apart from other studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from jdrl_lightning import UserError
from jdrl_lightning.sweeps.optuna_study import Study
from jdrl_lightning.sweeps.search_space import Choice, Interval, Space

SPACE: Space = {"lam": Interval(0.2, 0.6), "alpha": Interval(0.1, 2.0, log=True), "optim": Choice(("paper", "cosine"))}


def study(folder: Path, *command: str, mode: Any = "max", space: Space = SPACE) -> Study:
    folder.mkdir(exist_ok=True)
    return Study(folder, space, command, mode, seed=0)


def value(settings: list[str]) -> float | None:
    lam = float(settings[0].partition("=")[2])
    return None if lam > 0.55 else -((lam - 0.3) ** 2)


def run_trials(study: Study, total: int) -> list[tuple[int, list[str]]]:
    tried = []
    while trials := study.next(1, total):
        tried += trials
        study.tell(trials[0][0], value(trials[0][1]))
    return tried


def run_batch(study: Study, total: int) -> list[tuple[int, list[str]]]:
    tried = study.next(total, total)
    for number, _ in tried:
        study.tell(number, float(number))
    return tried


def test_a_resumed_study_proposes_the_same_trials(tmp_path: Path) -> None:
    """More than TPE's ten random startup trials; some fail, one is interrupted."""
    whole = run_trials(study(tmp_path / "whole"), 14)
    assert [number for number, _ in whole] == list(range(14))
    assert len({tuple(settings) for _, settings in whole}) == 14
    failed = [number for number, settings in whole if value(settings) is None]
    assert 0 < len(failed) <= 3  # so that at least ten results inform the last proposals
    first = run_trials(study(tmp_path / "part?s"), 12)
    interrupted = study(tmp_path / "part?s").next(1, 14)
    assert first + interrupted + run_trials(study(tmp_path / "part?s"), 14)[1:] == whole
    assert study(tmp_path / "whole").next(1, 14) == []
    stored = optuna.load_study(study_name="sweep", storage=f"sqlite:///{tmp_path}/whole/study.db")
    assert [trial.number for trial in stored.get_trials(states=[TrialState.FAIL])] == failed
    best = max((number for number, settings in whole if number not in failed), key=lambda n: value(whole[n][1]) or 0)
    assert study(tmp_path / "whole").best() == (best, value(whole[best][1]), whole[best][1])


def test_a_batch_of_trials_differs_and_is_resumed_whole(tmp_path: Path) -> None:
    batch = study(tmp_path).next(3, 5)
    assert len({tuple(settings) for _, settings in batch}) == 3
    again = study(tmp_path)
    assert again.next(3, 5) == batch
    for number, _ in batch:
        assert not again.tell(number, float("nan"))
    assert [number for number, _ in again.next(3, 5)] == [3, 4]
    assert again.best() is None


def test_minimization_with_integers_and_steps(tmp_path: Path) -> None:
    space: Space = {"a": Interval(1, 9), "b": Interval(1, 5, 2), "c": Interval(0.5, 1.5, 0.5)}
    jobs = run_batch(study(tmp_path, mode="min", space=space), 12)
    values = [dict(setting.split("=") for setting in settings) for _, settings in jobs]
    assert {job["b"] for job in values} == {"1", "3", "5"}
    assert {job["c"] for job in values} == {"0.5", "1.0", "1.5"}
    assert {int(job["a"]) for job in values} <= set(range(1, 10))
    found = study(tmp_path, mode="min", space=space).best()
    assert found is not None
    assert found[1] == 0.0


def test_other_studies_and_other_files_are_refused(tmp_path: Path) -> None:
    study(tmp_path, "seed=0", "data=leaves")
    study(tmp_path, "data=leaves", "seed=0")
    with pytest.raises(UserError, match=r"study\.db is a study of other settings \(seed=0, seed=1\); set hydra\.sweep"):
        study(tmp_path, "seed=1", "data=leaves")
    with pytest.raises(UserError, match=r"other settings \(maximum, minimum\)"):
        study(tmp_path, "seed=0", "data=leaves", mode="min")
    (tmp_path / "study.db").write_text("not a database, but as long as one " * 20)
    with pytest.raises(UserError, match=r"study\.db: cannot be used as a study \(.*not a database"):
        study(tmp_path)
