"""Comparisons of earlier evaluations, their intervals against SciPy's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from evaluation.earlier_runs import INPUT, run_folder
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.compare import compare, compared
from jdrl_lightning.evaluation.load_results import read_run

GAIN = np.random.default_rng(1).normal(0.3, 0.2, 40)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "first", INPUT + 1)


def oracle(values: NDArray[np.float64]) -> tuple[float, float]:
    generator = np.random.default_rng(7)
    found = scipy.stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=generator)
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def test_intervals_of_means_and_of_paired_differences(first: Path, tmp_path: Path) -> None:
    second = run_folder(tmp_path / "other", INPUT + 1 + GAIN, "a_b & c")
    content = compared([read_run(first), read_run(second)])
    blurry, one, other = content["runs"]
    assert [blurry["name"], one["name"], other["name"]] == ["input", "first", "a_b & c"]
    for found, values in (
        (blurry["means"], INPUT),
        (one["means"], INPUT + 1),
        (other["differences"], GAIN),
        (blurry["differences"], -np.ones(40)),
    ):
        psnr = found["gt/psnr"]
        assert psnr["mean"] == pytest.approx(values.mean())
        expected = oracle(values) if values.std() else (-1.0, -1.0)
        assert (psnr["low"], psnr["high"]) == pytest.approx(expected, abs=0.02 * values.std() + 1e-9)
    assert other["differences"]["placement/rms"] == {"mean": 0, "low": 0, "high": 0}
    assert other["means"].keys() == {"gt/psnr", "placement/rms"}


def test_the_files(first: Path, tmp_path: Path) -> None:
    second = run_folder(tmp_path / "other", INPUT + 1 + GAIN, "a_b & c")
    text = compare([first, second], tmp_path / "both", overwrite=False)
    assert (tmp_path / "both" / "comparison.md").read_text() == text
    gain = f"{GAIN.mean():+.2f} [{oracle(GAIN)[0]:+.2f}, "
    assert f"| {INPUT.mean() + 1:.2f} [" in text
    assert f"| {gain}" in text
    assert (
        "40 images, test split of data=sdd; measured alike: crop=none, warp=bicubic, ssim=uniform, round=false, "
        in text
    )
    latex = (tmp_path / "both" / "comparison.tex").read_text()
    assert r" & a\_b \& c & a\_b \& c $-$ first \\" in latex
    assert f" & {gain}" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 2
    assert len(json.loads((tmp_path / "both" / "comparison.json").read_text())["runs"]) == 3
    with pytest.raises(UserError, match=r"comparison\.md: exists already"):
        compare([first, second], tmp_path / "both", overwrite=False)


def test_an_infinite_psnr_has_no_interval_and_does_no_harm(first: Path, tmp_path: Path) -> None:
    exact = run_folder(tmp_path / "exact", np.where(np.arange(40) == 3, np.inf, INPUT))
    text = compare([first, exact], tmp_path / "both", overwrite=False)
    content = json.loads((tmp_path / "both" / "comparison.json").read_text())
    assert content["runs"][2]["means"]["gt/psnr"] == {"mean": None, "low": None, "high": None}
    assert text.splitlines()[6].startswith("| exact | – | 0.100 ")


def test_runs_of_one_name_are_called_by_their_folders(first: Path, tmp_path: Path) -> None:
    again = run_folder(tmp_path / "deeper" / "first", INPUT)
    text = compare([first, again], tmp_path / "both", overwrite=False)
    assert f"{again} − {first}" in text


def test_missing_runs(first: Path, tmp_path: Path) -> None:
    for few in ([first], str(first), []):
        with pytest.raises(UserError, match="two or more output folders"):
            compare(few, tmp_path / "both", overwrite=False)
    with pytest.raises(UserError, match=r"absent/per_image\.csv: no such file; give compare="):
        compare([first, tmp_path / "absent"], tmp_path / "both", overwrite=False)
