"""A folder becomes an experiment, and the command that is printed trains it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import torch
import yaml

from jdrl_lightning.io.image import write_image
from processes import forked, fresh
from stacks import rendered


def test_the_printed_command_trains_what_was_proposed(pairs_folder: Path, tmp_path: Path) -> None:
    done = fresh(tmp_path, "-m", "jdrl_lightning.start", f"input={pairs_folder}", "name=mine")
    assert done.returncode == 0, done.stderr
    assert "One affine map per pair explains the misalignment" in done.stdout
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == ["experiment/mine.yaml"]
    command = done.stdout.splitlines()[-1]
    assert command == "python -m jdrl_lightning.train --config-dir . experiment=mine"
    few = ("trainer.max_epochs=1", "trainer.limit_train_batches=2", "trainer.limit_val_batches=1")
    trained = forked(tmp_path, *shlex.split(command)[1:], *few)
    assert trained.returncode == 0, trained.stderr
    (summary,) = tmp_path.glob("outputs/mine/*/summary.json")
    stored = yaml.safe_load((summary.parent / ".hydra" / "config.yaml").read_text())
    assert stored["data"]["root"] == str(pairs_folder)
    assert (stored["data"]["register"], stored["objective"]["name"]) == ("affine", "charbonnier")

    again = forked(tmp_path, "-m", "jdrl_lightning.start", f"input={pairs_folder}", "name=mine")
    assert again.stderr == "error: experiment/mine.yaml: exists; give another name=<name>\n"
    shipped = forked(tmp_path, "-m", "jdrl_lightning.start", f"input={pairs_folder}", "name=finetune")
    assert shipped.stderr == "error: experiment/finetune.yaml: exists in the package; give another name=<name>\n"


def test_learning_rates_are_tried_on_request(pairs_folder: Path, tmp_path: Path) -> None:
    few_steps = (
        "from jdrl_lightning.training import tuning; tuning.STEPS = 5; from jdrl_lightning.start import main; main()"
    )
    done = forked(tmp_path, "-c", few_steps, f"input={pairs_folder}", "name=tried", "pairs=1", "tune=true")
    assert done.returncode == 0, done.stderr
    assert "\ntrying learning rates\n" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("the learning-rate finder "))
    assert f"# {line}\n" in (tmp_path / "experiment" / "tried.yaml").read_text()


def test_frames_of_a_focus_stack_get_a_command_that_makes_pairs(photo: torch.Tensor, tmp_path: Path) -> None:
    for name, zooms in (("one", [1.0, 1.01]), ("two", [1.0, 1.005])):
        for number, frame in enumerate(rendered(photo, zooms).frames):
            write_image(tmp_path / "shots" / name / f"{number}.png", frame)
    done = forked(tmp_path, "-m", "jdrl_lightning.start", "input=shots")
    assert done.returncode == 0, done.stderr
    made = forked(tmp_path, *shlex.split(done.stdout.splitlines()[-1])[1:])
    assert made.returncode == 0, made.stderr
    done = forked(tmp_path, "-m", "jdrl_lightning.start", "input=shots_pairs")
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((tmp_path / "experiment" / "shots_pairs.yaml").read_text())["defaults"][0] == {
        "override /data": "stack"
    }


def test_photos_get_partners(photo: torch.Tensor, tmp_path: Path) -> None:
    for number in range(4):
        write_image(tmp_path / "my photos" / f"{number}.png", photo[:, :, 60 * number : 60 * number + 300].contiguous())
    done = forked(tmp_path, "-m", "jdrl_lightning.start", "input=my photos")
    assert done.returncode == 0, done.stderr
    content = yaml.safe_load((tmp_path / "experiment" / "my_photos.yaml").read_text())
    assert content["data"]["misalignment"] == "none"
    few = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "trainer.limit_val_batches=1")
    frames = ("data.frames_per_photo={train:1,val:1,test:1}", "data.frame=128")
    trained = forked(tmp_path, *shlex.split(done.stdout.splitlines()[-1])[1:], *few, *frames)
    assert trained.returncode == 0, trained.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "error: give input=<folder of pairs or photos>; see --help\n"),
        (["input=nowhere"], "error: nowhere: no such folder; give input=<folder of pairs or of photos>\n"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = forked(tmp_path, "-m", "jdrl_lightning.start", *arguments)
    assert (done.returncode, done.stderr) == (1, message)
    assert not list(tmp_path.iterdir())
