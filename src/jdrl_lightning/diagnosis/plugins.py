"""What other packages have registered, and whether it can be imported."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from jdrl_lightning.errors import first_line
from jdrl_lightning.registry import distribution

__all__ = ["found"]

PREFIX = "jdrl_lightning."  # of every entry-point group of ours: a new registry needs no line here


def found() -> list[tuple[str, str, str | None]]:
    """For each entry point of ours: the package, what it registers, and why that cannot be loaded, or None."""
    entries = entry_points()
    return [
        (distribution(entry), f"{group.removeprefix(PREFIX)}: {entry.name}", _problem(entry))
        for group in sorted(entries.groups)
        if group.startswith(PREFIX)
        for entry in entries.select(group=group)
    ]


def _problem(entry: EntryPoint) -> str | None:
    try:
        entry.load()
    except Exception as error:  # whatever happens when code of others is imported
        return first_line(error, kind=True)
    return None
