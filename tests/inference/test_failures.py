"""What could not be restored of a batch."""

from __future__ import annotations

import pytest

from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.failures import Failures


def test_a_single_file_fails_at_once() -> None:
    with pytest.raises(UserError, match=r"^a\.png: damaged$"):
        Failures(1).add(UserError("a.png: damaged"))


def test_of_several_each_is_named_twice_and_the_end_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures(3)
    for name in "ab":
        failures.add(UserError(f"{name}.png: damaged"))
    with pytest.raises(UserError, match=r"^2 of 3 files were not restored, .*The first: a\.png: damaged$"):
        failures.report()
    lines = [record.message for record in caplog.records]
    assert lines == ["a.png: damaged", "b.png: damaged", "not restored: a.png: damaged", "not restored: b.png: damaged"]
    Failures(3).report()  # nothing failed: nothing is said
