"""Freed memory is used again instead of being mapped anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, statistics, sys, torch
from jdrl_lightning.runtime.malloc import keep_freed_memory
print(keep_freed_memory() if sys.argv[1] == "kept" else None)
def step():  # beyond the 32 MiB up to which glibc learns to keep blocks by itself
    return [torch.ones(12_000_000) for _ in range(2)]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
steps = []
for _ in range(21):
    before = faults()
    step()
    steps.append(faults() - before)
# The median: a small block in the way may cost one step its place in what was freed.
print(statistics.median(steps[10:]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_pages_are_not_asked_for_again() -> None:
    def faults(how: str) -> tuple[str, int]:
        command = [sys.executable, "-c", FAULTS, how]
        told, count = subprocess.run(command, check=True, capture_output=True, text=True, timeout=100).stdout.split()
        return told, int(count)

    told, kept = faults("kept")
    assert told == "True"
    assert kept < 0.1 * faults("not")[1]
