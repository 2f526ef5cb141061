"""Files are checked once, until they change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jdrl_lightning.data import decode_cache
from jdrl_lightning.data.decode_cache import is_checked, mark_checked


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(decode_cache, "_KNOWN", {})
    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    return path


def grow(path: Path) -> None:
    """Another size at the same time."""
    before = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b"+")
    os.utime(path, ns=(before, before))


def touch(path: Path) -> None:
    """Another time at the same size, later by the smallest step."""
    later = path.stat().st_mtime_ns + 1
    os.utime(path, ns=(later, later))


@pytest.mark.parametrize("change", [grow, touch])
def test_a_file_stays_checked_until_it_changes(change: Callable[[Path], None], file: Path) -> None:
    assert not is_checked(file)
    mark_checked(file)
    assert is_checked(file)
    change(file)
    assert not is_checked(file)
    mark_checked(file)
    assert is_checked(file)


def test_other_names_of_one_file_are_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark_checked(file)
    link = file.with_name("link.png")
    link.symlink_to(file)
    monkeypatch.chdir(file.parent)
    assert is_checked(link)
    assert is_checked(Path("a.png"))
    other = file.with_name("b.png")
    other.write_bytes(file.read_bytes())
    os.utime(other, ns=(file.stat().st_mtime_ns,) * 2)
    assert not is_checked(other)
