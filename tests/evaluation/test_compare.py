"""Intervals of earlier evaluations against SciPy's, and runs that are not what an evaluation writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from numpy.typing import NDArray

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.compare import compare, compared
from jdrl_lightning.evaluation.load_results import as_given, check_alike, read_run

PROTOCOL = {"crop": "none", "warp": "bicubic", "ssim": "uniform", "round": False, "flow": {"name": "tvl1"}}
INPUT = np.random.default_rng(0).normal(25, 3, 40)
GAIN = np.random.default_rng(1).normal(0.3, 0.2, 40)


def run_folder(folder: Path, psnr: NDArray[np.float64], title: str = "", **facts: Any) -> Path:
    """An evaluation of forty images with the given PSNR, LPIPS left out, all else equal."""
    folder.mkdir(parents=True)
    rows = [
        {
            "method": method,
            "name": f"{i:02d}",
            "gt/psnr": value,
            "gt/lpips": "",
            "placement/rms": 0.1,
            "placement/dx": -1,
        }
        for i in range(len(psnr))
        for method, value in (("input", INPUT[i]), ("restored", psnr[i]))
    ]
    with (folder / "per_image.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    content = {"title": title, "digest": "d", "protocol": PROTOCOL, "data": "test split of data=sdd"} | facts
    (folder / "summary.json").write_text(json.dumps(content))
    return folder


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


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"digest": "e"}, "other pixels or another order; evaluate both"),
        ({"protocol": PROTOCOL | {"crop": "center_8"}}, "with crop=center_8, .*first with crop=none; evaluate one"),
        ({"protocol": PROTOCOL | {"round": True}}, "with round=true, .*first with round=false; evaluate one"),
        (
            {"protocol": PROTOCOL | {"flow": {"name": "pwcnet", "weights": "a.pth, sha256 0a"}}},
            "with flow=pwcnet weights=a.pth, sha256 0a, .*first with flow=tvl1",
        ),
    ],
)
def test_what_cannot_be_compared(facts: dict[str, Any], said: str, first: Path, tmp_path: Path) -> None:
    other = run_folder(tmp_path / "other", INPUT, **facts)
    with pytest.raises(UserError, match=said) as error:
        check_alike([read_run(first), read_run(other)])
    assert "\n" not in str(error.value)


def test_other_images(first: Path, tmp_path: Path) -> None:
    fewer = run_folder(tmp_path / "fewer", INPUT[:38])
    with pytest.raises(UserError, match=r"fewer and .*first: other images, only one has 38 and 1 more$"):
        check_alike([read_run(first), read_run(fewer)])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"title": "old"}', '{"title": 1, "digest": "d", "protocol": {}}', "\udcff"]
)
def test_a_summary_that_is_none(text: str, first: Path) -> None:
    (first / "summary.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"summary\.json: not a summary that evaluate writes now"):
        read_run(first)


@pytest.mark.parametrize(
    "wrong", ["renamed", "words", "empty", "columns", "short", "long", "twice", "input only", "bytes"]
)
def test_a_table_that_is_none(wrong: str, first: Path) -> None:
    file = first / "per_image.csv"
    text = file.read_text()
    lines = text.splitlines(keepends=True)
    content = {
        "renamed": text.replace("restored", "others"),
        "words": text.replace(",0.1,", ",zero,"),
        "empty": "",
        "columns": "a,b\n1,2\n",
        "short": text[: text.rindex(",")],
        "long": text.rstrip() + ",1\n",
        "twice": text + lines[-2] + lines[-1],
        "input only": "".join(line for line in lines if "restored" not in line),
        "bytes": text.replace("restored", "\udcff"),
    }[wrong]
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"per_image\.csv: not a table that evaluate writes \(.+\); evaluate") as error:
        read_run(first)
    assert "\n" not in str(error.value)


def test_what_is_missing(first: Path, tmp_path: Path) -> None:
    for few in ([first], str(first), []):
        with pytest.raises(UserError, match="two or more output folders"):
            compare(few, tmp_path / "both", overwrite=False)
    with pytest.raises(UserError, match=r"absent/per_image\.csv: no such file; give compare="):
        compare([first, tmp_path / "absent"], tmp_path / "both", overwrite=False)
    (first / "summary.json").unlink()
    with pytest.raises(UserError, match=r"first/summary\.json: no such file"):
        read_run(first)


def test_settings_are_said_as_they_are_given() -> None:
    assert [as_given(value) for value in (True, "none", 3)] == ["true", "none", "3"]
