from __future__ import annotations

from pathlib import Path

import pytest

from jdrl_lightning.app.sessions import Cancelled, Sessions


def test_a_session_is_its_tab_s_own(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    first, second = sessions.of("a"), sessions.of("b")
    assert sessions.of("a") is first
    assert first.folder != second.folder
    assert first.folder.name != "a"
    first.stop()
    with pytest.raises(Cancelled):
        first.check()
    second.check()
    first.arm()
    first.check()


def test_files_go_with_the_tab_and_with_the_next_picture(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.of("a")
    (session.folder / "picture.png").touch()
    session.restored = (session.folder / "picture.png",)
    session.empty()
    assert list(session.folder.iterdir()) == []
    assert session.restored == ()
    sessions.close("a")
    sessions.close("a")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Cancelled):
        session.check()


def test_the_session_used_longest_ago_makes_room(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, most=2)
    kept, old = sessions.of("kept"), sessions.of("old")
    sessions.of("kept")
    sessions.of("new")
    assert kept.folder.exists()
    assert not old.folder.exists()
    assert len(list(tmp_path.iterdir())) == 2
