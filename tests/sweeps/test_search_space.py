"""Search spaces in Hydra's syntax, parsed by Hydra's own parser."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from jdrl_lightning import UserError
from jdrl_lightning.sweeps.search_space import Choice, Interval, Space, corners, latest, split


def parsed(*overrides: str) -> tuple[list[str], Space]:
    return split(latest(OverridesParser.create().parse_overrides(list(overrides))))


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("lam=interval(0.2,0.6)", Interval(0.2, 0.6)),
        ("lam=interval(0,3)", Interval(0, 3)),
        ("lam=tag(log,interval(0.1,2))", Interval(0.1, 2, log=True)),
        ("lam=range(0.2,0.5,0.1)", Interval(0.2, 0.4, 0.1)),
        ("lam=range(5,0,-2)", Interval(1, 5, 2)),
        ("lam=range(5,6)", Interval(5, 5)),
        ("lam=0.5,1,0.5", Choice(("0.5", "1"))),
        ("lam=[1.0, 0.5],[1]", Choice(("[1.0,0.5]", "[1]"))),
        ("lam='a b',null", Choice(("'a b'", "null"))),
    ],
)
def test_search_spaces_use_hydras_syntax(written: str, domain: Choice | Interval) -> None:
    assert parsed(written, "seed=0") == (["seed=0"], {"lam": domain})


@pytest.mark.parametrize(
    "written",
    [
        "lam=interval(2,1)", "lam=tag(log,interval(0,1))", "lam=tag(slow,interval(0,1))", "lam=range(3,3)",
        "lam=tag(log,range(1,9))",
    ],
)  # fmt: skip
def test_invalid_spaces_are_refused(written: str) -> None:
    with pytest.raises(UserError, match=r"lam=.*: write (interval|range)\("):
        parsed(written)


def test_the_last_override_of_a_key_counts_and_keeps_its_prefix() -> None:
    fixed, space = parsed("lam=interval(0,1)", "seed=1,2", "+name=a,b", "lam=0.5", "seed=3,4")
    assert fixed == ["lam=0.5"]
    assert space == {"seed": Choice(("3", "4")), "+name": Choice(("a", "b"))}


def test_corners_cover_each_value_of_a_choice() -> None:
    space: Space = {"lam": Interval(0.5, 1.0), "optim": Choice(("a", "b", "c")), "seed": Choice(("0", "1"))}
    assert [" ".join(job) for job in corners(space)] == [
        "lam=0.5 optim=a seed=0", "lam=0.5 optim=b seed=0", "lam=0.5 optim=c seed=0", "lam=0.5 optim=a seed=1",
    ]  # fmt: skip
