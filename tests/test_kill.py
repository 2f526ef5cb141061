"""A training killed while writing a checkpoint, between two files or at a random moment loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

KILL = Path(__file__).parents[1] / "benchmarks" / "kill.py"
OTHER_DISK = Path("/dev/shm")


@pytest.mark.skipif(not OTHER_DISK.is_dir(), reason="no second file system to be TMPDIR")
def test_nothing_is_lost(tmp_path: Path) -> None:
    arguments = ["--kills", "3", "--epochs", "6", "--wait", "2", "--keep", str(tmp_path), "--tmpdir", str(OTHER_DISK)]
    done = subprocess.run([sys.executable, str(KILL), *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "nothing lost"
    assert "\n3 kills, " in done.stdout
    assert "kill 1 (in a checkpoint): " in done.stdout
    assert ", 1 temporary files" in done.stdout
