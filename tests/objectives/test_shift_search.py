from __future__ import annotations

import pytest
import torch

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.losses.shift_search import shift_search_loss


def test_outputs_are_summed_with_their_weights() -> None:
    first, second, sharp = torch.rand(3, 2, 3, 24, 28, generator=torch.Generator().manual_seed(0))
    objective = objectives.create("shift_search", reach_px=3, eps=0.01, output_weights=[1.0, 0.5])
    stage = objective.schedule.at(0)
    losses = objective(Restored((first, second), {}), Pair(first, sharp, ["a", "b"], {}), stage)
    expected = shift_search_loss(first, sharp, 3, 0.01) + 0.5 * shift_search_loss(second, sharp, 3, 0.01)
    torch.testing.assert_close(losses.total, expected)
    assert losses.terms.keys() == {"pixel"}


def test_a_shift_of_the_pair_costs_nothing() -> None:
    blurry = torch.rand(2, 3, 24, 28)
    sharp = torch.stack([blurry[0].roll((2, -1), (1, 2)), blurry[1].roll(-3, 2)])
    objective = objectives.create("shift_search", reach_px=3)
    total = objective(Restored((blurry,), {}), Pair(blurry, sharp, ["a", "b"], {}), objective.schedule.at(0)).total
    assert float(total) == pytest.approx(1e-3)  # ε of the Charbonnier loss


@pytest.mark.parametrize("settings", [{"reach_px": 1.5}, {"reach_px": -1}, {"eps": 0}])
def test_wrong_settings_are_named(settings: dict[str, float]) -> None:
    (text,) = (f"objective.{key}={value}" for key, value in settings.items())
    with pytest.raises(UserError, match=text):
        objectives.create("shift_search", **settings)


def test_crops_must_be_larger_than_the_reach() -> None:
    image, objective = torch.rand(1, 3, 24, 28), objectives.create("shift_search", reach_px=12)
    with pytest.raises(UserError, match=r"needs crops of 25 px; raise data\.crop"):
        objective(Restored((image,), {}), Pair(image, image, ["a"], {}), objective.schedule.at(0))
