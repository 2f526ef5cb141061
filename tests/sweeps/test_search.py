"""Hyperparameter search by Optuna, and parallel jobs."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.trial import TrialState

from conftest import TINY
from jdrl_lightning import UserError
from jdrl_lightning.sweeps.optuna_study import Study
from jdrl_lightning.sweeps.search_space import Choice, Interval, Space, corners, latest, split

METRIC = "val/deformed_gt/psnr"
SPACE: Space = {"lam": Interval(0.2, 0.6), "alpha": Interval(0.1, 2.0, log=True), "optim": Choice(("paper", "cosine"))}
WRONG = "+trainer.num_nodes=1,2"  # two nodes are refused before a rank is launched
FAST = (*TINY, "debug=fast", "trainer.max_epochs=1")

# Which sweepers and launchers Hydra finds, and which heavy packages finding them imports.
SCAN = """
import sys
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
found = {plugin.__name__ for kind in (Sweeper, Launcher) for plugin in Plugins.instance().discover(kind)}
print(sorted(found & {"OptunaSweeper", "JoblibLauncher", "LocalLauncher"}))
print(sorted({"torch", "lightning", "optuna", "wandb", "jdrl_lightning"} & set(sys.modules)))
"""


def train(folder: Path, pairs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jdrl_lightning.train", *arguments, *FAST, f"data.root={pairs}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def measured(run: Path) -> float:
    metric: float = json.loads((run / "summary.json").read_text())["metrics"][METRIC]
    return metric


def parsed(*overrides: str) -> tuple[list[str], Space]:
    return split(latest(OverridesParser.create().parse_overrides(list(overrides))))


def test_discovering_the_sweepers_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", SCAN], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["['JoblibLauncher', 'LocalLauncher', 'OptunaSweeper']", "[]"]


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("lam=interval(0.2,0.6)", Interval(0.2, 0.6)),
        ("lam=interval(0,3)", Interval(0, 3)),
        ("lam=tag(log,interval(0.1,2))", Interval(0.1, 2, log=True)),
        ("lam=range(0.2,0.5,0.1)", Interval(0.2, 0.4, 0.1)),
        ("lam=range(5,0,-2)", Interval(1, 5, 2)),
        ("lam=range(5,6)", Interval(5, 5)),
        ("lam=0.5,1,0.5", Choice(("0.5", "1"))),
        ("lam=[1.0, 0.5],[1]", Choice(("[1.0,0.5]", "[1]"))),
        ("lam='a b',null", Choice(("'a b'", "null"))),
    ],
)
def test_search_spaces_use_hydras_syntax(written: str, domain: Choice | Interval) -> None:
    assert parsed(written, "seed=0") == (["seed=0"], {"lam": domain})


@pytest.mark.parametrize(
    "written",
    [
        "lam=interval(2,1)", "lam=tag(log,interval(0,1))", "lam=tag(slow,interval(0,1))", "lam=range(3,3)",
        "lam=tag(log,range(1,9))",
    ],
)  # fmt: skip
def test_invalid_spaces_are_refused(written: str) -> None:
    with pytest.raises(UserError, match=r"lam=.*: write (interval|range)\("):
        parsed(written)


def test_the_last_override_of_a_key_counts_and_keeps_its_prefix() -> None:
    fixed, space = parsed("lam=interval(0,1)", "seed=1,2", "+name=a,b", "lam=0.5", "seed=3,4")
    assert fixed == ["lam=0.5"]
    assert space == {"seed": Choice(("3", "4")), "+name": Choice(("a", "b"))}


def test_corners_cover_each_value_of_a_choice() -> None:
    space: Space = {"lam": Interval(0.5, 1.0), "optim": Choice(("a", "b", "c")), "seed": Choice(("0", "1"))}
    assert [" ".join(job) for job in corners(space)] == [
        "lam=0.5 optim=a seed=0", "lam=0.5 optim=b seed=0", "lam=0.5 optim=c seed=0", "lam=0.5 optim=a seed=1",
    ]  # fmt: skip


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


def run_batch(study: Study, total: int) -> list[tuple[int, list[str]]]:
    tried = study.next(total, total)
    for number, _ in tried:
        study.tell(number, float(number))
    return tried


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


def test_optuna_with_joblib_and_a_failing_job(pairs_folder: Path, tmp_path: Path) -> None:
    """Two parallel jobs with equal settings, in separate runs, then one that fails."""
    arguments = (
        "sweep=optuna", "hydra.sweeper.params=null", WRONG, "hydra/launcher=joblib", "hydra.sweeper.n_jobs=2",
        "hydra.sweeper.n_trials=3", "hydra.sweeper.seed=4",
    )  # fmt: skip
    done = train(tmp_path, pairs_folder, *arguments)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: trainer.num_nodes=2: launch")
    folder = tmp_path / "multirun" / "default" / "optuna"
    files = {"sweep.csv", "multirun.yaml", "study.db", "study.lock"}
    assert {path.name for path in folder.iterdir()} == {"0", "1", "2"} | files
    rows, trials = table(folder), optuna.load_study(study_name="sweep", storage=f"sqlite:///{folder}/study.db").trials
    assert [row["job"] for row in rows] == ["0", "1", "2"]
    assert [row["trainer.num_nodes"] for row in rows] == ["1", "1", "2"]
    assert [row["status"] for row in rows] == ["done", "done", "failed"]
    assert rows[2]["error"].startswith("trainer.num_nodes=2: launch")
    assert [trial.params["+trainer.num_nodes"] for trial in trials] == ["1", "1", "2"]
    assert [trial.state for trial in trials] == [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.FAIL]
    for row, trial in zip(rows[:2], trials, strict=False):
        assert measured(folder / row["job"]) == float(row[METRIC]) == trial.value
    assert {path.name for path in tmp_path.iterdir()} == {"multirun"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweep=optuna", "hydra.sweeper.params=null"), "nothing to choose from: give objective.lam=interval(0.2,0.5)"),
        (("sweep=optuna", "optim=paper,nope"), "optim=nope: no such option; known: "),
    ],
)
def test_invalid_sweeps_are_refused_before_any_job(
    arguments: tuple[str, ...], message: str, pairs_folder: Path, tmp_path: Path
) -> None:
    done = train(tmp_path, pairs_folder, *arguments)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"error: {message}")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_submitit_with_a_failing_job(pairs_folder: Path, tmp_path: Path) -> None:
    done = train(tmp_path, pairs_folder, "-m", "hydra/launcher=submitit_local", WRONG, "hydra.sweep.dir=here")
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: trainer.num_nodes=2: launch")
    files = {".submitit", "sweep.csv", "multirun.yaml"}
    assert {path.name for path in (tmp_path / "here").iterdir()} == {"0", "1"} | files
    good, wrong = table(tmp_path / "here")
    assert (good["job"], good["trainer.num_nodes"], good["status"]) == ("0", "1", "done")
    assert (wrong["job"], wrong["trainer.num_nodes"], wrong["status"]) == ("1", "2", "failed")
    assert float(good[METRIC]) == measured(tmp_path / "here" / "0")
    assert {path.name for path in tmp_path.iterdir()} == {"here"}
