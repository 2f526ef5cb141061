"""The benchmark's measures on what they must give."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_the_truth_has_no_halo_and_each_frame_is_sharp_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from focus_stack import halos, occluding, unexplained

    frames, truth, near = occluding(3)
    assert set(halos(truth, truth, near).values()) == {"0.00"}
    assert all(float(value) > 1 for value in halos(frames[1], truth, near).values())
    torch.testing.assert_close(frames[2][..., 195:205, :], truth[..., 195:205, :], atol=0.2, rtol=0)  # the wall
    assert torch.equal(frames[0][..., 90:110, 100:120], truth[..., 90:110, 100:120])  # a disc
    assert unexplained(truth, truth) < 1e-4 < unexplained(truth.roll(2, 3), truth)


def test_a_command_that_fails_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from focus_stack import measured

    assert measured(("true",), ("sh", "-c", "exit 0"), folder=tmp_path).peak > 0
    with pytest.raises(SystemExit, match="sh failed: no"):
        measured(("sh", "-c", "echo no; exit 3"), folder=tmp_path)
