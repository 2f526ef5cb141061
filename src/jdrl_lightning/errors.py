"""The exception for what the user can fix, the words its messages share, and the exit code after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["INTERRUPTED", "UserError", "and_more", "check_choice", "first_line"]

INTERRUPTED = 130  # after Ctrl-C, as shells have it


class UserError(Exception):
    """Something the user did or has: one line that names the file or setting and the remedy. Commands print it.

    A loader worker's exception reaches the trainer with its traceback as the text; the last line is kept.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line.rpartition("errors.UserError: ")[2].rstrip("\n"))


def first_line(error: BaseException, kind: bool = False) -> str:
    """The first line of an exception's text that is not blank, or else its type.

    Args:
        error: any exception.
        kind: begin with its type: ``ValueError: …``.
    """
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    return (f"{name}: {line}" if line else name) if kind else line or name


def check_choice(key: str, value: Any, known: Iterable[Any]) -> None:
    """Refuse a setting whose value is not among ``known``.

    Raises:
        UserError: ``<key>='<value>' is none of <known>``.
    """
    names = list(known)
    if value not in names:
        raise UserError(f"{key}={value!r} is none of {', '.join(map(str, names))}")


def and_more(names: Sequence[Any], shown: int = 3) -> str:
    """The first ``shown`` of ``names``, and how many more there are: ``a, b, c and 4 more``."""
    rest = len(names) - shown
    return ", ".join(map(str, names[:shown])) + (f" and {rest} more" if rest > 0 else "")
