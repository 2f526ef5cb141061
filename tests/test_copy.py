"""A recipe's copy composes to the same training, under its own name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli import config as conf
from jdrl_lightning.cli.own_experiments import copied
from processes import forked, fresh

RECIPES = sorted(path.stem for path in Path(conf.CONF, "experiment").glob("*.yaml"))


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
    done = fresh(tmp_path, "-m", "jdrl_lightning.copy", "experiment=smoke", "name=mine")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["experiment"]
    command = done.stdout.splitlines()[-1].split()
    small = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "backbone.width=4")
    few = ("data.frames_per_photo={train:1,val:1,test:1}", "data.frame=64", "data.crop=32")
    done = forked(tmp_path, *command[1:], *small, *few)
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
    done = forked(tmp_path, "-m", "jdrl_lightning.copy", *arguments.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
