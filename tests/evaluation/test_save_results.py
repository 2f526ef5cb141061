"""The files of an evaluation: complete, strict JSON, never overwritten by accident."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.contact_sheet import Example
from jdrl_lightning.evaluation.evaluate_dataset import Figures
from jdrl_lightning.evaluation.save_results import claim, finite, intervals, write, write_json
from jdrl_lightning.metrics.report import bootstrap_interval


def test_results_are_overwritten_only_on_request(tmp_path: Path) -> None:
    output = tmp_path / "output"
    assert claim(output, False) == output
    assert not output.exists()
    output.mkdir()
    (output / "notes.txt").touch()
    assert claim(output, False) == output
    (output / "table.md").touch()
    with pytest.raises(UserError, match=r"table\.md: exists already; give another output=… or overwrite=true"):
        claim(output, False)
    assert claim(output, True) == output
    assert claim(output, False, ["ranking.md"]) == output
    with pytest.raises(UserError, match=r"notes\.txt: is a file; give output=<folder>"):
        claim(output / "notes.txt", True)


def test_json_is_strict(tmp_path: Path) -> None:
    assert finite({"a": 1.5, "b": math.inf, "c": math.nan, "d": None}) == {"a": 1.5, "b": None, "c": None, "d": None}
    write_json(tmp_path / "a.json", {"name": "Größe"})
    before = (tmp_path / "a.json").read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"value": math.nan})
    assert (tmp_path / "a.json").read_bytes() == before == '{\n  "name": "Größe"\n}\n'.encode()


def test_the_files_of_an_evaluation(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"method": method, "name": name, "gt/psnr": psnr, "gt/lpips": None}
        for name, psnr in (("a", 20.0), ("b", math.inf))
        for method in ("input", "restored")
    ]
    means = {method: {"gt/psnr": math.inf, "gt/lpips": None} for method in ("input", "restored")}
    figures = Figures(rows, means, [Example("a", {"blurry": torch.rand(3, 20, 30)})])
    text = write(tmp_path / "output", "A heading", figures, {"digest": "0a"}, ["A note."])
    output = tmp_path / "output"
    assert sorted(path.name for path in output.iterdir()) == [
        "contact_sheet.png", "histograms.png", "per_image.csv", "summary.json", "table.md", "table.tex",
    ]  # fmt: skip
    assert text.startswith("# A heading\n")
    assert (output / "table.md").read_text() == text
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) <= 80
    for line in ("- A note.", "- PSNR is infinite, and so is its mean, where an image equals its reference: b."):
        assert line in text.splitlines()
    with (output / "per_image.csv").open(newline="") as file:
        assert [(row["name"], row["gt/psnr"], row["gt/lpips"]) for row in csv.DictReader(file)] == [
            ("a", "20.0", ""), ("a", "20.0", ""), ("b", "inf", ""), ("b", "inf", ""),
        ]  # fmt: skip
    summary = json.loads((output / "summary.json").read_text(), parse_constant=pytest.fail)  # Infinity is not JSON
    assert summary["digest"] == "0a"
    assert summary["restored"] == {"gt/psnr": None, "gt/lpips": None}
    assert len(summary["notes"]) == 2
    for name in ("contact_sheet.png", "histograms.png"):
        with Image.open(output / name) as image:
            image.verify()


def test_intervals_are_those_of_the_bootstrap() -> None:
    values = {"input": [20.0, 22.0, 25.0], "restored": [21.0, 24.0, 25.5]}
    rows = [
        {"method": method, "name": str(place), "gt/psnr": value, "gt/lpips": None}
        for method, figures in values.items()
        for place, value in enumerate(figures)
    ]
    found = intervals(rows)
    assert found["restored"] == {"gt/psnr": bootstrap_interval(values["restored"]), "gt/lpips": None}
    assert found["difference"]["gt/psnr"] == bootstrap_interval([1.0, 2.0, 0.5])
