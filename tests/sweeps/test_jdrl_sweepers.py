"""Sweeps by Optuna and parallel jobs, as Hydra launches them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from conftest import TINY

METRIC = "val/deformed_gt/psnr"
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


def test_discovering_the_sweepers_imports_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", SCAN], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines() == ["['JoblibLauncher', 'LocalLauncher', 'OptunaSweeper']", "[]"]


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
