"""Freed memory is reused instead of mapped again."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, statistics, sys, torch
from jdrl_lightning.runtime.malloc import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "kept" else None)
def step():  # above 32 MiB, the upper bound of glibc's own adaptive threshold
    return [torch.ones(12_000_000) for _ in range(2)]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
steps = []
for _ in range(21):
    before = faults()
    step()
    steps.append(faults() - before)
# The median: fragmentation may cost a single step new pages.
print(statistics.median(steps[10:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_steps_need_no_new_pages() -> None:
    def faults(mode: str) -> tuple[str, int]:
        command = [sys.executable, "-c", FAULTS, mode]
        output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout
        took_effect, count = output.split()
        return took_effect, int(count)

    took_effect, kept = faults("kept")
    assert took_effect == "True"
    assert kept < 0.1 * faults("default")[1]
