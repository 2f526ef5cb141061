"""One owner at a time; a killed owner's lock is free."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning.io.file_lock import exclusive

OWNER = """
import sys
from pathlib import Path
from jdrl_lightning.io.file_lock import exclusive
with exclusive(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


def is_locked(lock: Path) -> bool:
    """Whether not even a shared lock can be acquired."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_lock_is_held_inside_the_block_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "a.lock"
    with exclusive(lock):
        assert is_locked(lock)
    assert not is_locked(lock)
    with pytest.raises(ValueError, match="inside"), exclusive(lock):
        raise ValueError("inside")
    assert not is_locked(lock)
    assert lock.exists()
    assert not caplog.records


def test_the_second_waits_for_the_first_with_a_message(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock, order, locked = tmp_path / "a.lock", [], []

    def second() -> None:
        with exclusive(lock):
            order.append("second")
            locked.append(is_locked(lock))

    with exclusive(lock):
        thread = threading.Thread(target=second)
        thread.start()
        until = time.monotonic() + 30
        while not caplog.records:
            assert time.monotonic() < until
            time.sleep(0.01)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
    assert locked == [True]
    assert caplog.records[0].getMessage() == f"{tmp_path} is in use by another process; waiting for it to exit"


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    command = [sys.executable, "-c", OWNER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "in\n"
        assert is_locked(lock)
        owner.kill()
        owner.wait(timeout=30)
    assert not is_locked(lock)


def test_without_support_for_locks_it_warns_and_goes_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unsupported(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with exclusive(tmp_path / "a.lock"):
        assert f"{tmp_path} cannot be locked; make sure that no other process uses it" in caplog.text
