"""What other packages have registered, and whether it can be imported."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from jdrl_lightning.errors import first_line
from jdrl_lightning.registry import distribution

__all__ = ["GROUPS", "found"]

GROUPS = ("backbones", "flows", "objectives", "datasets", "conf")


def found() -> list[tuple[str, str, str | None]]:
    """For each entry point of ours: the package, what it registers, and why that cannot be loaded, or None."""
    return [
        (distribution(entry), f"{group}: {entry.name}", _problem(entry))
        for group in GROUPS
        for entry in entry_points(group=f"jdrl_lightning.{group}")
    ]


def _problem(entry: EntryPoint) -> str | None:
    try:
        entry.load()
    except Exception as error:  # whatever happens when code of others is imported
        return first_line(error, kind=True)
    return None
