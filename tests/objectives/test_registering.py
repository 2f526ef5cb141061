"""What objectives with flow share; ``tests/objectives/test_jdrl.py`` tests flows, masks and anchor."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.match_color import ColorMatched, match_color


class ThreePixels(FlowEstimator):
    def __init__(self) -> None:
        self.first: list[Tensor] = []

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.first.append(first)
        return torch.full_like(first[:, :2], 3.0)


def test_gcm_compares_with_the_sharp_image_warped_onto_the_input() -> None:
    """Only inside the frame, and by flow between images of matching colours."""
    restored, blurry, sharp = torch.rand(3, 2, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    estimator = ThreePixels()
    objective = objectives.create("gcm", flow=estimator, eps=1e-6)
    losses = objective(Restored((restored,), {}), Pair(blurry, sharp, ["a", "b"], {}), objective.schedule.at(0))
    expected = (restored[..., :-3, :-3] - sharp[..., 3:, 3:]).abs().mean()  # L1, but for eps
    assert losses.terms.keys() == {"align"}
    torch.testing.assert_close(losses.total, expected, rtol=1e-4, atol=1e-5)
    matched = match_color(torch.cat([blurry, sharp]), torch.cat([sharp, blurry])).clamp(0, 1)
    torch.testing.assert_close(torch.cat(estimator.first), matched)
    assert not list(objective.parameters())


def test_flow_of_whole_pictures_is_measured_with_matching_colours_too() -> None:
    objective = objectives.create("gcm", flow=ThreePixels(), flow_of="picture")
    assert isinstance(objective.picture_flow, ColorMatched)
    assert isinstance(objectives.create("jdrl", flow=ThreePixels(), match_color=False).flow, ThreePixels)


def test_wrong_settings_are_named() -> None:
    for settings, message in (
        ({"mask": "soft"}, r"objective\.mask='soft' is not one of none, magnitude"),
        ({"lam": 1.5}, r"objective\.lam=1\.5 is not between 0 and 1"),
    ):
        with pytest.raises(UserError, match=message):
            objectives.create("gcm", flow={"name": "none"}, **settings)
