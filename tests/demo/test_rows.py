from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jdrl_lightning.demo.rows import METHODS, Row, compose_row, results


def row(values: list[float], seconds: float = 1.0) -> Row:
    return Row({m: np.asarray(values) for m in ("psnr", "ssim", "mae", "placement_px")}, seconds)


def test_the_ratios_are_what_the_names_say() -> None:
    rows = {
        "input": row([26.0, 28.0]),
        "shipped": row([26.5, 28.5]),
        "charbonnier": row([24.0, 25.0]),
        "prealign": row([27.0, 28.8]),
        "jdrl": row([27.2, 29.0]),
        "aligned_ceiling": row([27.3, 29.1]),
    }
    outcome = results(rows)
    assert outcome["over_prealign_db"] == pytest.approx(0.2)
    assert outcome["over_shipped_db"] == pytest.approx(0.6)
    assert outcome["gain_psnr"] == pytest.approx(1.1 / 1.2, abs=1e-4)
    assert outcome["recovered_psnr"] == pytest.approx(3.6 / 3.7, abs=1e-4)
    low, high = outcome["intervals"]["over_prealign_db"]
    assert low == pytest.approx(0.2)
    assert high == pytest.approx(0.2)
    low, high = outcome["intervals"]["psnr"]["input"]
    assert (low, high) == (26.0, 28.0)
    assert [r["method"] for r in outcome["rows"]] == list(rows)


def test_rows_differ_in_nothing_but_the_training(tmp_path: Path) -> None:
    configs = {method: compose_row(method, tmp_path, ["seed=3"]) for method in METHODS}
    for key in ("backbone", "optim", "trainer", "seed"):
        assert all(config[key] == configs["jdrl"][key] for config in configs.values()), key
    for method, changed in (("prealign", {"register"}), ("aligned_ceiling", {"misalignment"}), ("charbonnier", set())):
        ours, theirs = configs["jdrl"]["data"], configs[method]["data"]
        assert {key for key in ours if ours[key] != theirs[key]} == changed
    assert configs["jdrl"]["objective"]["name"] == "jdrl_robust"
