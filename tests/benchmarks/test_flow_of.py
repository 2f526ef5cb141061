"""Flow of whole pictures against flow of their crops."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from jdrl_lightning import flow

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import flow_of


def test_a_whole_image_shows_the_motion_better_than_a_small_crop() -> None:
    errors = flow_of.measured(flow.create("gauss_newton"), crop=48, frame=128, kind="biased")
    counts = {key: len(values) for key, values in errors.items()}
    assert counts == {"kept": 12} | dict.fromkeys(
        ("crop", "picture", "sharper", "scratch", "from", "scratch_ms", "from_ms"), 24
    )
    mean = {key: statistics.mean(values) for key, values in errors.items()}
    assert mean["kept"] < 0.02
    assert mean["picture"] < 0.8 * mean["crop"]
    assert mean["picture"] < 0.5
    assert mean["sharper"] < mean["picture"]
    assert mean["from"] < 1.1 * mean["picture"]
    assert min(errors["from_ms"]) > 0
