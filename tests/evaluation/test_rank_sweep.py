from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.rank_sweep import heat_map, noise, points, rank

METRIC = "val/deformed_gt/psnr"


def write(folder: Path, rows: list[list[str]], metric: str = METRIC) -> Path:
    folder.mkdir()
    with (folder / "sweep.csv").open("w", newline="") as file:
        head = ["job", "objective.lam", "objective.alpha", "seed", "status", "error", "seconds", metric, "folder"]
        csv.writer(file).writerows([head, *rows])
    return folder


def job(number: int, lam: str, alpha: str, seed: str, psnr: str, status: str = "done", error: str = "") -> list[str]:
    return [str(number), lam, alpha, seed, status, error, "1.0", psnr, f"/runs/{number}"]


def test_jobs_are_ranked_and_drawn(tmp_path: Path) -> None:
    rows = [
        job(0, "0.25", "0.5", "0", "20.0"),
        job(1, "0.25", "0.5", "1", "22.0"),
        job(2, "0.35", "0.5", "0", "30.0"),
        job(3, "0.35", "1", "0", "25.0"),
        job(4, "0.45", "1", "0", "", "failed", "no such folder"),
    ]
    ranking = rank(write(tmp_path / "sweep", rows), tmp_path / "out", overwrite=False)
    assert (tmp_path / "out" / "ranking.md").read_text().strip() == ranking.strip()
    lines = [line.split("|")[1].strip() for line in ranking.splitlines() if line.startswith("|")]
    assert lines[2:] == ["2", "3", "1", "0"]
    assert "job 4 is left out: no such folder" in ranking
    with Image.open(tmp_path / "out" / "heat_map.png") as picture:
        assert min(picture.size) > 100
    names = ["job", "objective.lam", "objective.alpha", "seed", "status", "error", "seconds", METRIC, "folder"]
    table = [dict(zip(names, row, strict=True)) for row in rows[:4]]
    shown = heat_map(table, "objective.lam", "objective.alpha", METRIC).axes[0].images[0].get_array()
    np.testing.assert_allclose(np.ma.filled(shown, np.nan), [[21.0, np.nan], [30.0, 25.0]])
    with pytest.raises(UserError, match="exists already"):
        rank(tmp_path / "sweep", tmp_path / "out", overwrite=False)


def test_the_spread_over_seeds_is_said_beside_the_best(tmp_path: Path) -> None:
    rows = [
        job(0, "0.25", "0.5", "0", "29.91"), job(1, "0.25", "0.5", "1", "29.79"), job(2, "0.35", "0.5", "0", "29.99"),
        job(3, "0.35", "0.5", "1", "29.85"), job(4, "0.35", "1", "0", "30.50"),
    ]  # fmt: skip
    ranking = rank(write(tmp_path / "sweep", rows), tmp_path / "out", overwrite=False)
    assert "- jobs that differ only in their seed are up to 0.14 dB apart; best mean over seeds: " in ranking
    assert "objective.lam=0.35, objective.alpha=0.5, 29.92 dB (2 seeds from 29.85 dB to 29.99 dB)." in ranking


def test_the_best_of_an_error_is_the_smallest() -> None:
    rows = [{"lam": lam, "seed": seed, "mae": mae} for lam, seed, mae in [
        ("1", "0", "0.02"), ("1", "1", "0.03"), ("2", "0", "0.04"), ("2", "1", "0.06")]]  # fmt: skip
    apart, best = noise(rows, ["lam", "seed"], "mae")
    assert apart.endswith("up to 0.0200 apart")
    assert best == "best mean over seeds: lam=1, 0.0250 (2 seeds from 0.0200 to 0.0300)"


def test_one_seed_says_which_differences_mean_nothing(tmp_path: Path) -> None:
    rows = [job(0, "0.25", "1", "0", "20.0"), job(1, "0.35", "1", "0", "22.0")]
    ranking = rank(write(tmp_path / "sweep", rows), tmp_path / "out", overwrite=False)
    assert "- one seed: differences below some 0.1 dB mean nothing (seed=0,1,2 measures it)." in ranking
    assert noise([{"lam": "1", "rms": "0.1"}], ["lam"], "rms")[0] == (
        "one seed: no measure of chance (seed=0,1,2 measures it)"
    )


def test_scales_are_written_in_full() -> None:
    """Values that hardly differ: no tick is a difference from a number somewhere else."""
    rows = [{"lam": f"{lam}", "alpha": "0.5", "psnr": f"{29.8 + lam / 1e4}"} for lam in (1, 2, 3)]
    for figure in (heat_map(rows, "lam", "alpha", "psnr"), points(rows, "lam", "alpha", "psnr")):
        figure.draw_without_rendering()
        for axis in figure.axes:
            assert axis.xaxis.get_offset_text().get_text() == axis.yaxis.get_offset_text().get_text() == ""
        ticks = [text.get_text() for text in figure.axes[1].get_yticklabels()]
        assert all(tick.startswith("29.8") for tick in ticks)


def test_the_colour_bar_names_the_unit() -> None:
    rows = [{"lam": "0.25", "alpha": "0.5", "val/gt/psnr": "20.004", "val/gt/mae": "0.03125"}]
    axis, bar = heat_map(rows, "lam", "alpha", "val/gt/psnr").axes
    assert ([text.get_text() for text in axis.texts], bar.get_ylabel()) == (["20.00"], "val/gt/psnr, dB")
    axis, bar = heat_map(rows, "lam", "alpha", "val/gt/mae").axes
    assert ([text.get_text() for text in axis.texts], bar.get_ylabel()) == (["0.0312"], "val/gt/mae")
    assert points(rows, "lam", "alpha", "val/gt/psnr").axes[1].get_ylabel() == "val/gt/psnr, dB"


def test_chosen_values_are_points(tmp_path: Path) -> None:
    """Three jobs on a grid of nine; two on one of four still make a heat map."""
    rows = [job(0, "0.25", "0.1", "0", "20.0"), job(1, "0.3", "0.5", "0", "22.0"), job(2, "0.4", "1", "0", "21.0")]
    assert "heat_map.png: a point for each job" in rank(write(tmp_path / "sweep", rows), tmp_path / "out", False)
    assert (tmp_path / "out" / "heat_map.png").is_file()
    assert "means over the jobs" in rank(write(tmp_path / "less", rows[:2]), tmp_path / "less_out", False)
    table = [{"lam": row[1], "alpha": row[2], METRIC: row[7]} for row in rows]
    drawn = points(table, "lam", "alpha", METRIC).axes[0].collections[0]
    np.testing.assert_allclose(drawn.get_offsets(), [[0.1, 0.25], [0.5, 0.3], [1.0, 0.4]])
    np.testing.assert_allclose(drawn.get_array(), [20.0, 22.0, 21.0])


def test_the_smallest_error_comes_first(tmp_path: Path) -> None:
    rows = [job(0, "0.25", "0.5", "0", "0.03"), job(1, "0.35", "0.5", "0", "0.02")]
    ranking = rank(write(tmp_path / "sweep", rows, "val/aligned/mae"), tmp_path / "out", overwrite=False)
    lines = [line.split("|")[1].strip() for line in ranking.splitlines() if line.startswith("|")]
    assert lines[2:] == ["1", "0"]


def test_one_setting_has_no_heat_map(tmp_path: Path) -> None:
    folder = write(tmp_path / "sweep", [job(0, "0.25", "1", "0", "20.0"), job(1, "0.35", "1", "0", "22.0")])
    rank(folder, tmp_path / "out", overwrite=False)
    assert not (tmp_path / "out" / "heat_map.png").exists()


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"sweep\.csv: no such file"):
        rank(tmp_path, tmp_path / "out", overwrite=False)
    failed = write(tmp_path / "failed", [job(0, "0.25", "1", "0", "", "failed", "x")])
    with pytest.raises(UserError, match="none of its 1 jobs"):
        rank(failed, tmp_path / "out", overwrite=False)
    (tmp_path / "sweep.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not the table of a sweep"):
        rank(tmp_path, tmp_path / "out", overwrite=False)
