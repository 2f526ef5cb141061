"""The README of a model: what it says, and what it keeps to itself. Its metadata are read by huggingface_hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from jdrl_lightning import UserError
from jdrl_lightning.io.model_card import model_card

PARTS: dict[str, Any] = {
    "backbone": {"name": "unet", "width": 4, "weights": None},
    "objective": {"name": "jdrl", "lam": 0.35, "flow": {"name": "gauss_newton"}},
    "data": {"name": "folder", "root": "/home/someone/pairs", "crop": 96},
}
METRICS = {"train/flow_px": 3.25, "train/flow_p95_px": 8.5, "val/gt/psnr": 24.321, "val/gt/lpips": None}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / ".hydra").mkdir()
    given = ("data=folder", "data.root=/home/someone/pairs", "x=[/home/someone/a,~/b/c]", "y=s3://b/c")
    (tmp_path / ".hydra" / "overrides.yaml").write_text("".join(f"- {one}\n" for one in given))
    summary = {"metrics": METRICS, "steps": 1200, "epochs": 5, "seconds": 61.4}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    return tmp_path


def test_the_metadata_are_the_hubs(run: Path) -> None:
    card = ModelCard(model_card(PARTS, 1000, "MIT", "apache-2.0", run))
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "jdrl_lightning"
    assert card.data.pipeline_tag == "image-to-image"
    assert "license" not in ModelCard(model_card(PARTS, 1000, "MIT")).data.to_dict()


def test_a_run_tells_what_was_done(run: Path) -> None:
    lines = model_card(PARTS, 1_234_567, "MIT", None, run).splitlines()
    for line in (
        "| network | `unet`, width=4; 1,234,567 parameters |",
        "| pairs | `folder`, crop=96 |",
        "| misalignment | measured in training: 3.25 px in the mean, 8.50 px in the 95th percentile |",
        "| objective | `jdrl`, lam=0.35 |",
        "| training | 1,200 steps, 5 epochs, 61 s |",
        "| command | `python -m jdrl_lightning.train data=folder data.root=pairs x=[a,c] y=s3://b/c` |",
        "| licence | not stated by who trained it |",
        "| published weights of this network | MIT |",
        "| val/gt/psnr | 24.32 |",
    ):
        assert line in lines
    assert "/home/someone" not in "\n".join(lines)
    assert "lpips" not in "\n".join(lines)


def test_rendered_pairs_say_how_far_they_are_apart() -> None:
    data = {"name": "photos", "misalignment": "nonrigid", "amplitude": 2.0}
    assert "| misalignment | rendered: nonrigid, amplitude 2.0 |" in model_card(PARTS | {"data": data}, 1, "MIT")


def test_an_evaluation_gives_intervals(tmp_path: Path, run: Path) -> None:
    results = {
        "data": "test split of data=folder", "images": 3,
        "input": {"gt/psnr": 24.0, "gt/lpips": None}, "restored": {"gt/psnr": 25.0, "gt/lpips": None},
        "intervals": {"restored": {"gt/psnr": [24.1, 25.9]}, "difference": {"gt/psnr": [0.5, 1.5]}},
    }  # fmt: skip
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "summary.json").write_text(json.dumps(results))
    text = model_card(PARTS, 1, "MIT", None, run, tmp_path / "results")
    assert "| gt/psnr | 24.00 | 25.00 [24.10, 25.90] | +1.00 [+0.50, +1.50] |" in text.splitlines()
    assert "val/gt/psnr" not in text


def test_a_folder_without_a_summary_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"summary\.json: no summary of a run or an evaluation"):
        model_card(PARTS, 1, "MIT", None, tmp_path)
