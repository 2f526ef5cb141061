"""The exception for user errors, helpers for its messages, and the exit code after Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["INTERRUPTED", "UserError", "and_more", "check_choice", "check_not_negative", "first_line"]

INTERRUPTED = 130  # after Ctrl-C, by the shells' convention


class UserError(Exception):
    """An error that the user can fix. Its message is one line that names the file or setting and the remedy.

    An exception of a loader worker arrives with its whole traceback as text; only the last line is kept.
    """

    def __init__(self, line: str) -> None:
        super().__init__(line.rpartition("errors.UserError: ")[2].rstrip("\n"))


def first_line(error: BaseException, kind: bool = False) -> str:
    """The first non-blank line of an exception's text, or its type if there is none.

    Args:
        error: any exception.
        kind: prefix the type: ``ValueError: …``.
    """
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    name = type(error).__name__
    return (f"{name}: {line}" if line else name) if kind else line or name


def check_choice(key: str, value: Any, known: Iterable[Any]) -> None:
    """Check that the value of a setting is one of ``known``.

    Raises:
        UserError: ``<key>='<value>' is not one of <known>``.
    """
    names = list(known)
    if value not in names:
        raise UserError(f"{key}={value!r} is not one of {', '.join(map(str, names))}")


def check_not_negative(key: str, value: float) -> None:
    """Check that a weight is a number of at least 0.

    Raises:
        UserError: ``<key>=<value> is negative``.
    """
    if not value >= 0:
        raise UserError(f"{key}={value:g} is negative; 0 leaves it out")


def and_more(names: Sequence[Any], shown: int = 3) -> str:
    """The first ``shown`` of ``names`` and the number of others: ``a, b, c and 4 more``."""
    rest = len(names) - shown
    return ", ".join(map(str, names[:shown])) + (f" and {rest} more" if rest > 0 else "")
