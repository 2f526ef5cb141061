from __future__ import annotations

import os
from pathlib import Path

import pytest

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.atomic import atomic_write, clear_temporaries


def write_and_fail(path: Path) -> None:
    with atomic_write(path) as file:
        file.write(b"second")
        raise ValueError("stop")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path, "w") as file:
        file.write("first")
        assert not path.exists()
    assert path.read_text() == "first"
    with pytest.raises(ValueError, match="stop"):
        write_and_fail(path)
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_only_temporaries_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".last.ckpt.abc.tmp").write_bytes(b"half")
    for kept in (".hidden", "notes.tmp"):
        (tmp_path / kept).write_text("mine")
    clear_temporaries(tmp_path)
    assert sorted(p.name for p in tmp_path.rglob("*") if p.is_file()) == [".hidden", "notes.tmp"]


@pytest.mark.parametrize("target", ["folder", "pipe"])
def test_only_regular_files_are_replaced(target: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=target), atomic_write(tmp_path / target):
        pass
    assert not (tmp_path / target).is_file()


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "ä" * 125 + "b.png", "字" * 83 + ".png"])
def test_names_up_to_the_longest(name: str, tmp_path: Path) -> None:
    assert len(name.encode()) in range(252, 256)
    for content in ("first", "second"):
        with atomic_write(tmp_path / name, "w") as file:
            file.write(content)
            (temporary,) = [path for path in tmp_path.iterdir() if path.name != name]
            assert temporary.match(".*.tmp")
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == content


def test_a_name_that_is_too_long_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the file name is too long; shorten it"), atomic_write(tmp_path / ("a" * 256)):
        pass
