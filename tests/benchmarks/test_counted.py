"""Counting without computing sees every tensor once, and what a training step really needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_tensor_counts_while_it_is_alive_and_its_views_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from counted import Alive

    with Alive() as alive:
        image = torch.ones(100, 100)
        rows = image[:50].reshape(-1)
        assert alive.now == 40_000
        image = image.double()
        assert alive.now == 120_000  # the view holds the first
        del rows
        assert (alive.now, alive.peak) == (80_000, 120_000)


def test_what_was_there_before_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from counted import Alive

    weight = torch.ones(100, 100)
    with Alive() as alive:
        turned = weight.t()
        assert (turned[0].add(1).numel(), alive.now, alive.peak) == (100, 0, 400)


def test_a_step_too_large_to_train_here_is_counted() -> None:
    settings = ["backbone=nafnet", "backbone.enc_blk_nums=[1,1,1,1]", "backbone.dec_blk_nums=[1,1,1,1]"]
    settings += ["data.crop=512", "data.batch_size=64", "trainer.precision=bf16-mixed", "flow=none"]
    code = f"""
from counted import FakeTensorMode, counted
with FakeTensorMode():
    for more in [], ["activation_checkpointing=true"]:
        for form in "plain", "jdrl":
            print(*counted(form, {settings} + more))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCHMARKS, check=True, stdout=subprocess.PIPE, text=True)
    plain, jdrl, plain_again, jdrl_again = (tuple(map(float, line.split())) for line in done.stdout.splitlines())
    assert 80_000 < plain[0] < jdrl[0]  # MiB: four times those of a batch of 8
    assert plain_again[0] < 0.4 * plain[0]
    assert jdrl_again[0] - plain_again[0] < 0.1 * (jdrl[0] - plain[0])
    assert plain[1] < min(jdrl[1], plain_again[1]) < jdrl_again[1]  # computed again
