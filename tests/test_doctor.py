"""The doctor names what is missing or wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from processes import forked, fresh

DOCTOR = ("-m", "jdrl_lightning.doctor")


def test_the_command_looks_at_everything_and_leaves_nothing(pairs_folder: Path, tmp_path: Path) -> None:
    done = fresh(tmp_path, *DOCTOR, "data=folder", f"data.root={pairs_folder}", "data.crop=32", COLUMNS="120")
    assert done.returncode == 0, done.stderr
    for word in ("torch", torch.__version__.split("+")[0], "cpu:", "8 of 8, split train", "joint from epoch 15"):
        assert word in done.stdout
    (loads,) = re.findall(r"one process loads \(files read before\)\s+│ (\S+) crops per second", done.stdout)
    (takes,) = re.findall(r"training on cpu \(float32, forward and backward\)\s+│ (\S+) crops per second", done.stdout)
    assert float(loads) > 2 * float(takes) > 0
    assert "Loading keeps up with training: data.num_workers=2 loads about" in done.stdout
    # The folder's sharp pictures are cut one pixel lower.
    (median,) = re.findall(r"displacement, median\s+│ (\S+) px", done.stdout)
    assert float(median) == pytest.approx(1, abs=0.2)
    assert "objective=charbonnier" in done.stdout
    assert done.stdout.strip().startswith("One affine map per pair explains the misalignment")
    assert "Rough: " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_ends_in_one_line_that_names_the_files(tmp_path: Path) -> None:
    (tmp_path / "torn.pth").write_text("not weights")
    done = forked(
        tmp_path, *DOCTOR, "backbone.weights=torn.pth", "flow=pwcnet", "flow.weights=nowhere.pth", COLUMNS="120"
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: backbone: weights torn.pth cannot be read")
    assert "flow: weights nowhere.pth do not exist" in line
    assert "missing: nowhere.pth" in done.stdout


def test_lists_and_help(tmp_path: Path) -> None:
    listed = forked(tmp_path, *DOCTOR, "list=backbones", COLUMNS="120")
    assert listed.returncode == 0, listed.stderr
    assert "31,033,411 parameters" in " ".join(listed.stdout.split())
    helped = forked(tmp_path, *DOCTOR, "--help", COLUMNS="120")
    assert "list=backbones" in helped.stdout
    assert "Override anything" in helped.stdout
    unknown = forked(tmp_path, *DOCTOR, "list=bananas", COLUMNS="120")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "error: list='bananas' is not one of backbones, flows, data, objectives, experiments\n",
    )
