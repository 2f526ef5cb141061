"""What a sweep may choose from, as overrides write it: ``a=1,2``, ``range(…)``, ``interval(…)``, ``tag(log, …)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from jdrl_lightning.errors import UserError

__all__ = ["Choice", "Interval", "Space", "corners", "latest", "split"]


class Choice(NamedTuple):
    """One of several values, written as in an override."""

    values: tuple[str, ...]


class Interval(NamedTuple):
    """A number from ``low`` to ``high``, both included and whole if both are.

    Attributes:
        step: between the possible numbers, from ``low`` on; None: any.
        log: evenly in its logarithm; never with a step.
    """

    low: int | float
    high: int | float
    step: int | float | None = None
    log: bool = False

    @property
    def whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


Space = dict[str, Choice | Interval]


def latest(overrides: Sequence[Override]) -> list[Override]:
    """Of several overrides of one key, the last."""
    return list({(override.key_or_group, override.package): override for override in overrides}.values())


def split(overrides: Sequence[Override]) -> tuple[list[str], Space]:
    """The overrides that all jobs share, as they were written, and what is chosen for each job, by key.

    Raises:
        UserError: a range without a value, an interval without room, or a tag that means nothing here.
    """
    swept = [override for override in overrides if override.is_sweep_override()]
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    return fixed, {override.get_key_element(): _among(override) for override in swept}


def corners(space: Space) -> list[list[str]]:
    """Settings of a few jobs in which each value of each choice comes once, the first of all others beside it."""
    first = {key: among.values[0] if isinstance(among, Choice) else str(among.low) for key, among in space.items()}
    choices = [(key, among) for key, among in space.items() if isinstance(among, Choice)]
    others = [first | {key: value} for key, among in choices for value in among.values[1:]]
    return [[f"{key}={value}" for key, value in job.items()] for job in (first, *others)]


def _among(override: Override) -> Choice | Interval:
    swept = override.value()
    if isinstance(swept, RangeSweep):
        return _range(swept, str(override.input_line))
    if isinstance(swept, IntervalSweep):
        return _interval(swept, str(override.input_line))
    return Choice(tuple(dict.fromkeys(override.sweep_string_iterator())))


def _range(swept: RangeSweep, written: str) -> Interval:
    values = sorted(swept.range())
    if not values or swept.tags:
        raise UserError(f"{written}: write range(<first>,<beyond the last>,<step>), without a tag")
    return Interval(values[0], values[-1], abs(swept.step) if len(values) > 1 else None)


def _interval(swept: IntervalSweep, written: str) -> Interval:
    low, high, log = swept.start, swept.end, "log" in swept.tags
    if low is None or high is None or low >= high or (log and low <= 0) or swept.tags - {"log"}:
        raise UserError(f"{written}: write interval(<low>,<high>), or tag(log,interval(<low>,<high>)) above 0")
    return Interval(low, high, log=log)
