"""Registries of components by name, with plug-ins from entry points; nothing is imported before it is used."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any
from weakref import WeakKeyDictionary

from jdrl_lightning.errors import UserError, first_line

__all__ = ["Registry", "distribution", "made_from", "without_files"]

log = logging.getLogger(__name__)


def distribution(entry: EntryPoint) -> str:
    """The name of the installed package that an entry point comes from."""
    return entry.dist.name if entry.dist is not None else f"of {entry.value}"


# For the checkpoints of a training without a config; kept as long as the object.
_made_from: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()


def made_from(part: Any) -> dict[str, Any] | None:
    """The settings, with ``name``, that a registry made ``part`` from; None: none did."""
    return _made_from.get(part)


def without_files(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` without files of first weights, since a checkpoint has its own.

    Those of the reblurring network (``reblur``) and of a guided one (``of``) included.
    """
    kept = {k: v for k, v in settings.items() if not (k.endswith("weights") and isinstance(v, str))}
    return kept | {k: without_files(kept[k]) for k in ("reblur", "of") if isinstance(kept.get(k), Mapping)}


class Registry:
    """A table ``name -> "module:attribute"``, extended by the entry points of installed packages.

    Plug-ins cannot override our names. A plug-in that cannot be imported gives a warning when its name is used, and
    affects no other name.

    Args:
        kind: what the names stand for, singular, for error messages (``"backbone"``).
        targets: our names; their targets are imported on first use.
        group: entry-point group of plug-ins (``"jdrl_lightning.backbones"``).
    """

    def __init__(self, kind: str, targets: dict[str, str], group: str) -> None:
        self.kind = kind
        self.group = group
        self._targets = targets

    def names(self) -> list[str]:
        """All names, ours first, then those of installed plug-ins; imports none of them."""
        return [*self._targets, *sorted({entry.name for entry in self._plugins()})]

    def load(self, name: str) -> Any:
        """The class or factory ``name``.

        Raises:
            UserError: the name is unknown (the message lists the known ones), or its plug-in is broken.
        """
        if name in self._targets:
            module, attribute = self._targets[name].split(":")
            return getattr(import_module(module), attribute)
        entries = [entry for entry in self._plugins() if entry.name == name]
        for entry in entries:
            try:
                return entry.load()
            except Exception as error:
                reason = first_line(error, kind=True)
                log.warning("plug-in %s: its %s %r cannot be loaded (%s)", distribution(entry), self.kind, name, reason)
        if entries:
            broken = ", ".join(distribution(entry) for entry in entries)
            raise UserError(
                f"{self.kind} {name!r} comes from {broken}, which cannot be loaded ({reason}): repair or remove it"
            )
        raise UserError(f"unknown {self.kind} {name!r}; known: {', '.join(self.names())}")

    def _plugins(self) -> list[EntryPoint]:
        entries = list(entry_points(group=self.group))
        for entry in entries:
            if entry.name in self._targets:
                log.warning(
                    "plug-in %s: the %s %r is built in, so the plug-in's is ignored",
                    distribution(entry),
                    self.kind,
                    entry.name,
                )
        return [entry for entry in entries if entry.name not in self._targets]

    def create(self, name: str, **kwargs: Any) -> Any:
        """Build ``name`` with ``kwargs``, which :func:`made_from` tells.

        Raises:
            UserError: an unknown name, an unknown or missing setting, or an invalid value.
        """
        target = self.load(name)
        try:
            made = target(**kwargs)
        except (TypeError, ValueError, RuntimeError, ArithmeticError, LookupError, AssertionError) as error:
            if "unexpected keyword argument" in str(error) or "required" in str(error):
                said = str(error).partition(". Did you mean")[0]  # Python's own, from 3.13 on
                raise UserError(f"{self.kind} {name!r}: {said}{_hint(target, kwargs)}") from error
            raise UserError(f"{self.kind} {name!r} cannot be built with these settings: {first_line(error)}") from error
        with suppress(TypeError):  # what cannot be a key is no part of a network
            _made_from[made] = {"name": name, **kwargs}
        return made


def _hint(target: Any, given: dict[str, Any]) -> str:
    """Suggestions for the first argument that ``target`` does not accept; empty if there are none."""
    accepted = list(inspect.signature(target).parameters)
    unknown = [key for key in given if key not in accepted]
    near = get_close_matches(unknown[0], accepted) if unknown else []
    return f"; did you mean {' or '.join(near)}?" if near else ""
