"""The table of what networks cost, and the benchmarks by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from processes import forked, fresh

BENCH = ("-m", "jdrl_lightning.bench")


def test_the_table_has_the_published_sizes(tmp_path: Path) -> None:
    """Those that docs/models/compact.md and conf/backbone name, counted otherwise."""
    done = fresh(tmp_path, *BENCH, "backbones=[compact,unet_small]", "size=64", "repeats=1", "device=cpu")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    assert rows[0].startswith("| `compact` | 1,049,245 | 49,938 | ")
    assert rows[1].startswith("| `unet_small` | 1,941,523 | ")
    assert all(len(re.findall(r"\d", cell)) for row in rows for cell in row.split("|")[2:-1])
    assert not list(tmp_path.iterdir())


def test_benchmarks_are_listed_and_run_by_name(tmp_path: Path) -> None:
    listed = forked(tmp_path, *BENCH).stdout
    assert re.search(r"^tile_memory +Memory of a tile for each network", listed, re.MULTILINE)
    assert "resident" not in listed  # no program
    done = forked(tmp_path, *BENCH, "script=tile_memory", "arguments='--help'")
    assert done.returncode == 0, done.stderr
    assert "usage: tile_memory.py" in done.stdout


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("backbones=unett", "backbone=unett: no such option; known: compact, "),
        ("script=nothing", "script='nothing' is not one of against_kornia, "),
        ("backbones=compact size=0", "size=0: must be a whole number of at least 1"),
    ],
)
def test_errors_are_one_line(argument: str, message: str, tmp_path: Path) -> None:
    done = forked(tmp_path, *BENCH, *argument.split())
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {message}")
    assert len(done.stderr.splitlines()) == 1
