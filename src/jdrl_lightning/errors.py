"""The one exception for what the user can mend."""

from __future__ import annotations

__all__ = ["UserError"]


class UserError(Exception):
    """Something the user did or has: one line that names the file or setting and the remedy. Commands print it."""
