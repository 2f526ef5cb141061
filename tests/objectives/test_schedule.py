from __future__ import annotations

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.objectives import Schedule, Stage


def test_epoch_14_is_warmup_and_15_is_joint() -> None:
    schedule = Schedule.paper()
    assert [schedule.at(epoch).name for epoch in (0, 14, 15, 99)] == ["warmup", "warmup", "joint", "joint"]
    assert schedule.at(14).flow_source == "blurry"
    assert schedule.at(15).flow_source == "restored"


def test_the_two_named_schedules_weigh_as_the_paper_and_the_code_do() -> None:
    full = {"align": 1.0, "align_back": 1.0, "reblur": 0.5}
    assert [dict(s.weights) for s in Schedule.paper().stages] == [full, full]
    assert [dict(s.weights) for s in Schedule.official().stages] == [{"align": 1.0}, full]


def test_without_warmup_there_is_one_stage() -> None:
    assert [stage.name for stage in Schedule.paper(warmup_epochs=0).stages] == ["joint"]


def test_a_term_of_weight_zero_is_no_term() -> None:
    assert Schedule.paper(alpha=0).terms == {"align", "align_back"}
    assert Schedule.paper(warmup_reblur="off").at(0).weights == {"align": 1.0, "align_back": 1.0}


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(UserError, match=r"stage 'warmup': weight of reblur=-0\.5 is negative"):
        Schedule.paper(alpha=-0.5)


def test_detached_warmup_ends_with_the_warmup() -> None:
    assert [stage.detach_reblur for stage in Schedule.paper(warmup_reblur="detached").stages] == [True, False]


@pytest.mark.parametrize(
    ("warmup_reblur", "terms"),
    [("attached", {"reblur", "reblur_sharp"}), ("detached", {"reblur_sharp"}), ("off", set())],
)
def test_the_reblurring_network_may_learn_from_the_sharp_image(warmup_reblur: str, terms: set[str]) -> None:
    schedule = Schedule.paper(alpha=0.25, warmup_reblur=warmup_reblur, reblur_learns_from="aligned")
    assert set(schedule.at(0).weights) == {"align", "align_back"} | terms
    joint = {"align": 1.0, "align_back": 1.0, "reblur": 0.25, "reblur_sharp": 0.25}
    assert schedule.at(15).weights == joint


def test_a_schedule_survives_plain_types() -> None:
    schedule = Schedule.paper(alpha=0.25, warmup_epochs=3)
    again = Schedule.build(schedule.plain())
    assert again == schedule
    assert again.fingerprint() == schedule.fingerprint() != Schedule.paper().fingerprint()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Schedule((Stage("late", 1),)),
        lambda: Schedule((Stage("a", 0), Stage("b", 0))),
        lambda: Schedule(()),
        lambda: Stage("a", 0, flow_source="sharp"),
        lambda: Stage("a", 0, frozen=("flow",)),
        lambda: Schedule.paper(warmup_epochs=-1),
        lambda: Schedule.paper(warmup_reblur="maybe"),
        lambda: Schedule.build("papers"),
        lambda: Schedule.build([{"name": "a", "start": 0, "rate": 1}]),
        lambda: Schedule.build("official", warmup_reblur="detached"),
        lambda: Schedule.build("official", reblur_learns_from="aligned"),
        lambda: Schedule.paper(reblur_learns_from="sharp"),
    ],
)
def test_wrong_schedules_are_named(wrong: object) -> None:
    with pytest.raises(UserError) as error:
        wrong()  # type: ignore[operator]
    assert "\n" not in str(error.value)
