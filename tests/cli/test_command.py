"""Help and one-line error messages of the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from processes import forked, fresh


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("objective.lamda=1", "objective.lamda: no such setting; did you mean objective.lam? (--help lists all)"),
        ("trainer.max_epochs=-1 optim=cosine data=leaves", "epochs=-1: this schedule needs the number of epochs; set "),
        (
            "objective.lam=0,25",
            "objective.lam=0,25: several values; write objective.lam=0.25, or add -m ",
        ),
        ("--backbone mprnet", "--backbone: settings have no dashes; write backbone=mprnet (--help lists all)"),
        ("objective.lam=abc", "objective.lam=abc is not a number; the default is 0.35"),
        ("trainer.max_epochs=ten", "trainer.max_epochs=ten is not a number; the default is 100"),
        ("optim.optimizer.lr=fast", "optim.optimizer.lr=fast is not a number; the default is 2e-05"),
        ("data=folder data.root=nowhere", "nowhere: no such folder in "),
        ("monitor=val/psnr", "monitor=val/psnr: nothing measures it; set val/gt/psnr or "),
        ("ckpt_path=nowhere", "nowhere: no such checkpoint; "),
        ("run_dir=mine", "run_dir=mine: set hydra.run.dir=mine instead; run_dir follows it"),
        (
            "-m objective.reblur.width=4 objective=charbonnier,jdrl",
            "objective.reblur.width: no such setting; not every option of the sweep has it: run separate sweeps",
        ),
    ],
)
def test_user_errors_are_one_line_with_a_remedy(arguments: str, message: str, tmp_path: Path) -> None:
    done = forked(tmp_path, "-m", "jdrl_lightning.train", *arguments.split())
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith(f"error: {message}")
    assert arguments.startswith("-m ") or not list(tmp_path.iterdir())  # a failed start leaves no folder


@pytest.mark.parametrize("arguments", ["predict input=.", "evaluate", "export"])
def test_every_command_takes_a_checkpoint_by_name(arguments: str, tmp_path: Path) -> None:
    from skimage.data import astronaut

    Image.fromarray(astronaut()[:32, :32]).save(tmp_path / "photo.png")
    name, *others = arguments.split()
    done = forked(tmp_path, "-m", f"jdrl_lightning.{name}", *others, "ckpt_path=latest")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: latest: no such checkpoint; no run under outputs/ or multirun/ has one; give ")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


def test_the_suggested_quoting_works(tmp_path: Path) -> None:
    command = ("-m", "jdrl_lightning.predict", "ckpt_path=none.ckpt")
    error = forked(tmp_path, *command, "input=phot\u00f6,s=1.png").stderr
    assert error.endswith("; write \"input='phot\u00f6,s=1.png'\"\n")
    again = forked(tmp_path, *command, "input='phot\u00f6,s=1.png'")
    assert again.stderr == "error: phot\u00f6,s=1.png: no such file or folder; give input=<image or folder>\n"


def test_an_error_in_a_sweep_is_one_line(tmp_path: Path) -> None:
    done = forked(tmp_path, "-m", "jdrl_lightning.train", "-m", "data=folder", "seed=0,1")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: data.root is missing: set data.root=..."


def test_ctrl_c_exits_without_a_traceback(tmp_path: Path) -> None:
    code = (
        "from jdrl_lightning.cli.command import command\n"
        "@command('predict')\n"
        "def main(cfg):\n"
        "    raise KeyboardInterrupt\n"
        "main()\n"
    )
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "main.py", "input=a", "ckpt_path=b"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_a_closed_pipe_ends_the_output_silently(tmp_path: Path) -> None:
    """As ``| head`` closes it, before the help is written."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "jdrl_lightning.train", "--help"],
        cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "from jdrl_lightning.cli.command import command\n"
        "@command('predict')\n"
        "def main(cfg):\n"
        "    return cfg.unknown_key\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "unknown_key" in done.stderr


@pytest.mark.parametrize("name", ["train", "evaluate", "predict", "doctor", "start", "copy", "bench"])
def test_help_shows_examples_and_only_what_applies(name: str, tmp_path: Path) -> None:
    done = fresh(tmp_path, "-m", f"jdrl_lightning.{name}", "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{name}: ")
    assert done.stdout.count(f"python -m jdrl_lightning.{name} ") >= 2
    assert "launch" not in done.stdout
    assert ("optim: " in done.stdout) == (name == "train")
    assert "Override anything" in done.stdout
    assert "objective/parts" not in done.stdout
    assert ("jdrl_lightning.doctor list=backbones" in done.stdout) == (name in ("train", "doctor"))
    assert not list(tmp_path.iterdir())
