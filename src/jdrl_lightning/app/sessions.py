"""What a visitor's tab has on disk, where a run of the network can be stopped."""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from threading import Event, Lock

__all__ = ["Cancelled", "Session", "Sessions"]


class Cancelled(Exception):
    """The visitor has pressed Cancel, or is gone."""


class Session:
    """A folder whose name cannot be guessed, and the event that stops what computes for it."""

    def __init__(self, root: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=root))
        self.restored: tuple[Path, ...] = ()  # pixels of the last picture by each network, as NumPy files
        self._stop = Event()

    def empty(self) -> None:
        """Delete what the last computation has left."""
        self.restored = ()
        for path in self.folder.iterdir():
            path.unlink()

    def arm(self) -> None:
        """Forget that the session was stopped."""
        self._stop.clear()

    def stop(self) -> None:
        """End the computation after the tile in hand."""
        self._stop.set()

    def check(self) -> None:
        """Raise ``Cancelled`` if the session was stopped."""
        if self._stop.is_set():
            raise Cancelled


class Sessions:
    """The sessions of the last ``most`` tabs, by the id that Gradio gives them; a tab's files go when it closes.

    Args:
        root: existing folder for the sessions' folders.
    """

    def __init__(self, root: Path, most: int = 256) -> None:
        self.root, self.most = root, most
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._lock = Lock()

    def of(self, name: str | None) -> Session:
        """The session ``name``, made if it is new; the one used longest ago makes room for it."""
        with self._lock:
            session = self._open.pop(name or "", None) or Session(self.root)
            self._open[name or ""] = session
            surplus = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - self.most)]
        for old in surplus:
            _close(old)
        return session

    def close(self, name: str | None) -> None:
        """Stop and delete; a session that is not there is closed already."""
        with self._lock:
            session = self._open.pop(name or "", None)
        if session is not None:
            _close(session)


def _close(session: Session) -> None:
    session.stop()
    shutil.rmtree(session.folder, ignore_errors=True)
