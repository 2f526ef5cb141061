"""The W&B sweep file in the documentation: the command that W&B's agent builds from it trains."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from wandb import wandb_agent
from wandb.sdk.launch.sweeps.utils import load_sweep_config

from conftest import TINY

PAGE = Path(__file__).parents[2] / "docs" / "many_runs.md"
FAST = (*TINY, "backbone.weights=null", "debug=fast", "trainer.max_epochs=1", "logger.wandb.offline=true")


@pytest.fixture
def sweep(tmp_path: Path) -> dict[str, Any]:
    """The file, read by W&B."""
    (written,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "wandb_sweep.yaml").write_text(written)
    content: dict[str, Any] = load_sweep_config(str(tmp_path / "wandb_sweep.yaml"))
    return content


def agents_command(
    sweep: dict[str, Any], chosen: dict[str, Any], run_id: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """The ``command`` and ``env`` with which W&B's own agent starts a run."""
    for name, content in {"WANDB_RUN_ID": "", "WANDB_SWEEP_PARAM_PATH": "", "WANDB_SWEEP_ID": "of_the_server"}.items():
        monkeypatch.setenv(name, content)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    started: dict[str, Any] = {}
    monkeypatch.setattr(wandb_agent, "AgentProcess", lambda **given: started.update(given) or SimpleNamespace())
    agent = SimpleNamespace(
        _in_jupyter=False, _function=None, _forward_signals=False, _run_processes={}, _sweep_command=sweep["command"]
    )
    args = {key: {"value": value} for key, value in chosen.items()}
    wandb_agent.Agent._command_run(agent, {"args": args, "run_id": run_id, "program": sweep["program"]})
    return started


def test_the_documented_file_trains_and_reports_its_metric(
    sweep: dict[str, Any], pairs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    sweep["command"][-1:-1] = [*FAST, f"data.root={pairs_folder}"]
    chosen = {"objective.lam": 0.25, "objective.alpha": 1e-05, "optim": "cosine"}
    assert set(chosen) == set(sweep["parameters"])
    started = agents_command(sweep, chosen, "run7", monkeypatch)
    done = subprocess.run(
        started["command"], env=started["env"] | {"OMP_NUM_THREADS": "1"}, cwd=tmp_path, capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    run = tmp_path / "multirun" / "wandb" / "run7"
    assert json.loads((run / "summary.json").read_text())["metrics"][sweep["metric"]["name"]] > 0
    config = yaml.safe_load((run / ".hydra" / "config.yaml").read_text())
    assert (config["objective"]["lam"], config["objective"]["alpha"]) == (0.25, 1e-05)
    assert config["monitor"] == sweep["metric"]["name"]
    assert config["callbacks"]["best"]["mode"] == sweep["metric"]["goal"].removesuffix("imize")
    assert config["logger"]["wandb"]["project"] == sweep["project"]
    choices = yaml.safe_load((run / ".hydra" / "hydra.yaml").read_text())["hydra"]["runtime"]["choices"]
    assert (choices["optim"], choices["experiment"], choices["objective"]) == ("cosine", "demo", "jdrl")
    (offline,) = (run / "wandb").glob("offline-run-*")
    assert offline.name.endswith("-run7")


@pytest.mark.parametrize("optim", ["paper", "cosine"])
def test_every_value_that_the_server_may_choose_composes(
    optim: str, sweep: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert optim in sweep["parameters"]["optim"]["values"]
    chosen = {"objective.lam": 0.6, "objective.alpha": 2, "optim": optim}
    started = agents_command(sweep, chosen, "run8", monkeypatch)
    shown = subprocess.run(
        [*started["command"], "--cfg", "job"], env=started["env"], cwd=tmp_path, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert yaml.safe_load(shown.stdout)["objective"]["alpha"] == 2
