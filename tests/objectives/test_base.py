"""What objectives share: weights of terms and outputs, and the checks of both."""

from __future__ import annotations

import math

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.objectives import Objective, Schedule, Stage
from jdrl_lightning.objectives.base import check_eps


class Pixel(Objective):
    known_terms = ("pixel", "edge")


def test_outputs_beyond_the_weights_take_the_last_one() -> None:
    objective, images = Pixel(Schedule.constant("pixel"), [1.0, 0.25]), [torch.tensor(float(v)) for v in (3, 5, 7)]
    assert float(objective.sum_outputs(images, torch.square)) == 9 + 0.25 * (25 + 49)
    assert float(objective.sum_outputs(images[:1], torch.square)) == 9
    with pytest.raises(UserError, match="output_weights is empty"):
        Pixel(Schedule.constant("pixel"), [])


def test_only_terms_of_the_stage_count() -> None:
    terms = {"pixel": torch.tensor(3.0, requires_grad=True), "edge": torch.tensor(5.0, requires_grad=True)}
    total = Objective.weigh(terms, Stage("one", 0, weights={"edge": 0.5}))
    assert total.item() == 2.5
    total.backward()
    assert float(terms["edge"].grad) == 0.5
    nothing = Objective.weigh(terms, Stage("none", 0, weights={}))
    assert nothing.item() == 0
    nothing.backward()  # zero, but still part of the graph


def test_unknown_terms_are_named_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"Pixel has no loss term \['align'\]; it has \['pixel', 'edge'\]"):
        Pixel(Schedule.constant("align"))


def test_ddp_looks_for_unused_parameters_if_a_stage_freezes() -> None:
    free, frozen = (Stage(name, start, "none", {"pixel": 1.0}, frozen=held)
                    for name, start, held in (("free", 0, ()), ("frozen", 1, ("backbone",))))  # fmt: skip
    assert not Pixel(Schedule((free,))).find_unused_parameters
    assert Pixel(Schedule((free, frozen))).find_unused_parameters
    assert Pixel(Schedule((free,))).picture_flow is None
    assert not Pixel(Schedule((free,))).checkpoint_activations()


@pytest.mark.parametrize("eps", [0.0, -1e-3, math.nan])
def test_epsilon_must_be_above_0(eps: float) -> None:
    with pytest.raises(UserError, match=r"objective\.eps=.* is not above 0.*; set objective\.eps=0\.001"):
        check_eps(eps)
    check_eps(1e-6)
