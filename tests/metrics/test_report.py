from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from jdrl_lightning.metrics.report import (
    Row,
    bootstrap_interval,
    bootstrap_means,
    figure,
    markdown_table,
    paired_interval,
    write_csv,
)

ROWS: list[Row] = [
    {"name": "a,b", "gt/psnr": 25.123456789, "gt/ssim": 0.75, "gt/lpips": "not available"},
    {"name": "c|d", "gt/psnr": 27.5, "gt/ssim": 0.85, "gt/lpips": "not available"},
]


def test_csv_keeps_every_digit(tmp_path: Path) -> None:
    write_csv(tmp_path / "new" / "images.csv", ROWS)
    with (tmp_path / "new" / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["a,b", "c|d"]
    assert float(rows[0]["gt/psnr"]) == 25.123456789
    assert list(rows[0]) == list(ROWS[0])


def test_markdown() -> None:
    assert markdown_table(ROWS).splitlines() == [
        "| name | gt/psnr | gt/ssim | gt/lpips |",
        "| --- | ---: | ---: | --- |",
        "| a,b | 25.12 | 0.7500 | not available |",
        "| c\\|d | 27.50 | 0.8500 | not available |",
    ]


def test_missing_values_are_empty(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"name": "a", "gt/psnr": 25.0, "gt/lpips": None},
        {"name": "b", "gt/psnr": 27.0, "gt/lpips": 0.1},
    ]
    write_csv(tmp_path / "images.csv", rows)
    assert (tmp_path / "images.csv").read_text().splitlines() == ["name,gt/psnr,gt/lpips", "a,25.0,", "b,27.0,0.1"]
    assert markdown_table(rows).splitlines()[2] == "| a | 25.00 | – |"


def test_figures() -> None:
    written = [
        figure("psnr", 25.126),
        figure("gt/ssim", 0.75),
        figure("placement/rms", 0.1, "+"),
        figure("x", -1.0, "+"),
    ]
    assert written == ["25.13", "0.7500", "+0.100", "-1.000"]
    assert figure("gt/psnr", float("nan")) == figure("gt/psnr", None) == "–"
    assert figure("gt/psnr", "words") == "words"


def test_rows_must_agree() -> None:
    with pytest.raises(ValueError, match="no rows"):
        markdown_table([])
    with pytest.raises(ValueError, match=r"row 1 .*gt/mae"):
        markdown_table([{"gt/psnr": 1.0}, {"gt/psnr": 1.0, "gt/mae": 0.1}])


def test_bootstrap_equals_scipy() -> None:
    values = np.random.default_rng(5).exponential(size=60)
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert bootstrap_interval(values.tolist(), n=20000) == pytest.approx((expected.low, expected.high), abs=0.01)
    narrow = bootstrap_interval(values.tolist(), level=0.5, n=20000)
    assert expected.low < narrow[0] < values.mean() < narrow[1] < expected.high


def test_columns_of_one_length_are_drawn_alike() -> None:
    first, second = np.random.default_rng(2).normal(24, 1, (2, 30))
    np.testing.assert_allclose(bootstrap_means(first) - bootstrap_means(second), bootstrap_means(first - second))


def test_bootstrap_is_repeatable() -> None:
    values = [1.0, 2.0, 4.0, 8.0]
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval([2.0]) == (2.0, 2.0)


def test_pairing_sees_what_separate_intervals_hide() -> None:
    generator = np.random.default_rng(0)
    second = generator.normal(25, 4, size=40)
    first = second + generator.normal(0.2, 0.1, size=40)
    low, high = paired_interval(first.tolist(), second.tolist())
    assert 0.1 < low < 0.2 < high < 0.3
    assert bootstrap_interval(first.tolist())[0] < bootstrap_interval(second.tolist())[1]


def test_wrong_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval([])
    with pytest.raises(ValueError, match="level=95"):
        bootstrap_interval([1.0], level=95)
    with pytest.raises(ValueError, match="same images"):
        paired_interval([1.0, 2.0], [1.0])
