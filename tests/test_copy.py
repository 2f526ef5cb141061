"""A recipe's copy composes to the same training, under its own name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli import config as conf
from jdrl_lightning.cli.own_experiments import copied

RECIPES = sorted(path.stem for path in Path(conf.CONF, "experiment").glob("*.yaml"))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_copy_is_the_recipe_under_another_name(recipe: str, tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = Path(conf.CONF, "experiment", f"{recipe}.yaml").read_text()
    (tmp_path / "experiment" / "mine.yaml").write_text(copied(text, recipe, "mine"))
    conf.register()
    found = []
    for name in (recipe, "mine"):
        GlobalHydra.instance().clear()
        with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
            more = [f"experiment={name}", f"hydra.searchpath=[file://{tmp_path}]", "run_dir=."]
            found.append(compose("train", more))
    assert found[1].name == "mine"
    assert {**found[0], "name": ""} == {**found[1], "name": ""}


def test_the_printed_command_trains(tmp_path: Path) -> None:
    done = run(tmp_path, "jdrl_lightning.copy", "experiment=smoke", "name=mine")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["experiment"]
    command = done.stdout.splitlines()[-1].split()
    small = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "backbone.width=4")
    done = run(tmp_path, *command[2:], *small, "data=leaves", "data.frame=64", "data.crop=32")
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("outputs/mine/*/summary.json"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give experiment=<a recipe> name=<of the copy>; see --help"),
        ("experiment=nothing name=mine", "experiment='nothing' is not one of ablation_1, "),
        ("experiment=smoke name=demo", "experiment/demo.yaml: exists in the package; give another name=<name>"),
        ("experiment=smoke name=../mine", "name=../mine: letters, digits, _ and - only; give name=<name>"),
    ],
)
def test_errors_are_one_line(arguments: str, message: str, tmp_path: Path) -> None:
    done = run(tmp_path, "jdrl_lightning.copy", *arguments.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
