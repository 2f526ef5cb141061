"""What could not be restored of a batch, which goes on without it."""

from __future__ import annotations

import logging

from jdrl_lightning.errors import UserError

__all__ = ["Failures"]

log = logging.getLogger(__name__)


class Failures:
    """Logs each failure when it happens and once more at the end.

    Args:
        total: files of the batch.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.lines: list[str] = []  # an error itself would keep its picture in memory

    def add(self, error: UserError) -> None:
        """One file was not restored.

        Raises:
            UserError: ``error``, if it is the only file.
        """
        if self.total == 1:
            raise error
        log.error("%s", error)
        self.lines.append(str(error))

    def report(self) -> None:
        """Log all, where the end of a long batch is read.

        Raises:
            UserError: there are any.
        """
        for line in self.lines:
            log.error("not restored: %s", line)
        if self.lines:
            raise UserError(
                f"{len(self.lines)} of {self.total} files were not restored, as listed above; resume=true with the "
                f"same output takes them up again. The first: {self.lines[0]}"
            )
