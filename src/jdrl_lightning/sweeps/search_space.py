"""Search spaces from Hydra overrides: ``a=1,2``, ``range(…)``, ``interval(…)``, ``tag(log, …)``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from jdrl_lightning.errors import UserError

__all__ = ["Choice", "Interval", "Space", "corners", "latest", "split"]


class Choice(NamedTuple):
    """A categorical value; ``values`` are written as in an override."""

    values: tuple[str, ...]


class Interval(NamedTuple):
    """A number from ``low`` to ``high`` inclusive; an integer if both are.

    Attributes:
        step: spacing of the values, starting at ``low``; None: any value.
        log: sample uniformly in the logarithm; never combined with ``step``.
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
    """The last override of each key."""
    return list({(override.key_or_group, override.package): override for override in overrides}.values())


def split(overrides: Sequence[Override]) -> tuple[list[str], Space]:
    """Split into the overrides shared by all jobs, as written, and the search space by key.

    Raises:
        UserError: an empty range or interval, or an unsupported tag.
    """
    swept = [override for override in overrides if override.is_sweep_override()]
    fixed = [str(override.input_line) for override in overrides if not override.is_sweep_override()]
    return fixed, {override.get_key_element(): _domain(override) for override in swept}


def corners(space: Space) -> list[list[str]]:
    """Settings of a few jobs that together use each value of each choice, the other keys at their first value."""
    first = {key: domain.values[0] if isinstance(domain, Choice) else str(domain.low) for key, domain in space.items()}
    choices = [(key, domain) for key, domain in space.items() if isinstance(domain, Choice)]
    others = [first | {key: value} for key, domain in choices for value in domain.values[1:]]
    return [[f"{key}={value}" for key, value in job.items()] for job in (first, *others)]


def _domain(override: Override) -> Choice | Interval:
    swept = override.value()
    if isinstance(swept, RangeSweep):
        return _range(swept, str(override.input_line))
    if isinstance(swept, IntervalSweep):
        return _interval(swept, str(override.input_line))
    return Choice(tuple(dict.fromkeys(override.sweep_string_iterator())))


def _range(swept: RangeSweep, written: str) -> Interval:
    values = sorted(swept.range())
    if not values or swept.tags:
        raise UserError(f"{written}: write range(<start>,<stop>,<step>), without a tag")
    return Interval(values[0], values[-1], abs(swept.step) if len(values) > 1 else None)


def _interval(swept: IntervalSweep, written: str) -> Interval:
    low, high, log = swept.start, swept.end, "log" in swept.tags
    if low is None or high is None or low >= high or (log and low <= 0) or swept.tags - {"log"}:
        raise UserError(
            f"{written}: write interval(<low>,<high>), or tag(log,interval(<low>,<high>)) with <low> above 0"
        )
    return Interval(low, high, log=log)
