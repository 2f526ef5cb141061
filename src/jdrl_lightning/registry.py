"""Names for things that a config can ask for, without importing them before they are asked for."""

from __future__ import annotations

import inspect
import logging
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from jdrl_lightning.errors import UserError, first_line

__all__ = ["Registry", "distribution"]

log = logging.getLogger(__name__)


def distribution(entry: EntryPoint) -> str:
    """The installed package that an entry point comes from, as pip calls it."""
    return entry.dist.name if entry.dist is not None else f"of {entry.value}"


class Registry:
    """A table ``name -> "module:attribute"``, widened by the entry points of installed packages.

    Our own names cannot be taken by others. A plug-in that cannot be imported is named in a warning, and only those who
    asked for it are concerned.

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
        """All known names, ours first, then those of installed plug-ins; none of them is imported."""
        return [*self._targets, *sorted({entry.name for entry in self._plugins()})]

    def load(self, name: str) -> Any:
        """The class or factory behind ``name``.

        Raises:
            UserError: the name is unknown, and the message lists those that are; or its plug-in is broken.
        """
        if name in self._targets:
            module, attribute = self._targets[name].split(":")
            return getattr(import_module(module), attribute)
        entries = [entry for entry in self._plugins() if entry.name == name]
        for entry in entries:
            try:
                return entry.load()
            except Exception as error:
                told = first_line(error, kind=True)
                log.warning("plug-in %s: its %s %r cannot be loaded (%s)", distribution(entry), self.kind, name, told)
        if entries:
            broken = ", ".join(distribution(entry) for entry in entries)
            raise UserError(
                f"{self.kind} {name!r} comes from {broken}, which cannot be loaded ({told}): repair or remove it"
            )
        raise UserError(f"unknown {self.kind} {name!r}; known: {', '.join(self.names())}")

    def _plugins(self) -> list[EntryPoint]:
        entries = list(entry_points(group=self.group))
        for entry in entries:
            if entry.name in self._targets:
                log.warning(
                    "plug-in %s: the %s %r is ours, theirs is ignored", distribution(entry), self.kind, entry.name
                )
        return [entry for entry in entries if entry.name not in self._targets]

    def create(self, name: str, **kwargs: Any) -> Any:
        """Build ``name`` with ``kwargs``.

        Raises:
            UserError: unknown name, or a setting that it does not take or not with this value.
        """
        target = self.load(name)
        try:
            return target(**kwargs)
        except (TypeError, ValueError) as error:
            if "unexpected keyword argument" in str(error) or "required" in str(error):
                raise UserError(f"{self.kind} {name!r}: {error}{_hint(target, kwargs)}") from error
            raise UserError(f"{self.kind} {name!r} cannot be built with these settings: {first_line(error)}") from error


def _hint(target: Any, given: dict[str, Any]) -> str:
    """The names nearest to the first that ``target`` does not take; empty where none is."""
    taken = list(inspect.signature(target).parameters)
    wrong = [key for key in given if key not in taken]
    near = get_close_matches(wrong[0], taken) if wrong else []
    return f"; did you mean {' or '.join(near)}?" if near else ""
