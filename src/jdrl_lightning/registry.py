"""Names for things that a config can ask for, without importing them before they are asked for."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from jdrl_lightning.errors import UserError

__all__ = ["Registry"]


class Registry:
    """A table ``name -> "module:attribute"``, widened by the entry points of installed packages.

    Args:
        kind: what the names stand for, in the singular, for error messages (``"backbone"``).
        targets: our own names; what they point at is imported on first use.
        group: entry-point group in which other packages register theirs (``"jdrl_lightning.backbones"``).
    """

    def __init__(self, kind: str, targets: dict[str, str], group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets = targets

    def names(self) -> list[str]:
        """All known names, ours first, then those of installed plug-ins."""
        return [*self._targets, *sorted(e.name for e in entry_points(group=self.group) if e.name not in self._targets)]

    def load(self, name: str) -> Any:
        """The class or factory behind ``name``.

        Raises:
            UserError: the name is unknown; the message lists those that are.
        """
        if name in self._targets:
            module, attribute = self._targets[name].split(":")
            return getattr(import_module(module), attribute)
        for entry in entry_points(group=self.group, name=name):
            return entry.load()
        raise UserError(f"unknown {self.kind} {name!r}; known: {', '.join(self.names())}")

    def create(self, name: str, **kwargs: Any) -> Any:
        """Build ``name`` with ``kwargs``.

        Raises:
            UserError: unknown name, or a setting that it does not take.
        """
        target = self.load(name)
        try:
            return target(**kwargs)
        except TypeError as error:
            if "unexpected keyword argument" in str(error) or "required" in str(error):
                raise UserError(f"{self.kind} {name!r}: {error}") from error
            raise
