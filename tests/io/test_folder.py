"""What is a picture by its name; what is left out is counted and named, once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from jdrl_lightning.io import folder
from jdrl_lightning.io.folder import SUFFIXES, folders_from, image_files


def test_what_is_left_out_is_counted_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.png", "b.JFIF", "c.avif", "d.gif", "e.GIF", "f.psd", ".hidden.psd", "README"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert [path.name for path in image_files(tmp_path)] == ["a.png", "b.JFIF", "c.avif"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"{tmp_path}: not read, and so left out: 2 .gif, 1 README, 1 .psd"


def test_what_an_extra_would_read_names_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "SUFFIXES", (".png",))
    for name in ("a.png", "b.heic", "c.NEF"):
        (tmp_path / name).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        assert [path.name for path in image_files(tmp_path)] == ["a.png"]
    assert caplog.text.rstrip().endswith(
        "1 .heic, 1 .nef; pip install 'jdrl_lightning[formats]' for HEIC and raw files"
    )


def test_nothing_is_said_of_a_folder_of_pictures(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number, suffix in enumerate(SUFFIXES):
        (tmp_path / f"{number}{suffix}").write_bytes(b"")
    assert len(image_files(tmp_path)) == len(SUFFIXES)
    assert not caplog.records


def test_folders_are_walked_in_order_without_hidden_ones_and_links(tmp_path: Path) -> None:
    for name in ("b", "a/c", "a/d/e", ".hidden/f"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path)
    found = [
        str(place.relative_to(tmp_path)) for place in folders_from(tmp_path, without=tmp_path / "b" / ".." / "a" / "d")
    ]
    assert found == [".", "a", "a/c", "b"]
