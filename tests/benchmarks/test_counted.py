"""What a training step really needs, counted without computing it; tests/runtime/test_counting.py counts tensors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


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
