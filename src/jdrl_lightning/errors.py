"""The one exception for what the user can mend, and the exit code of what the user ended."""

from __future__ import annotations

__all__ = ["INTERRUPTED", "UserError"]

INTERRUPTED = 130  # after Ctrl-C, as shells have it


class UserError(Exception):
    """Something the user did or has: one line that names the file or setting and the remedy. Commands print it.

    What a loading process of PyTorch raises comes back with a traceback as its text, whose last line is the one.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line.rpartition("errors.UserError: ")[2].rstrip("\n"))
