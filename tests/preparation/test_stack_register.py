"""Motions that are known, and sizes."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.preparation.stack_register import chained, exposures, reduced, resized_flow, stack_flows
from stacks import inside, rendered, zoom_flow


class Counting(FlowEstimator):
    """Says that everything moves a pixel to the right, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    def estimate(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        self.asked.append((round(float(first.mean()), 2), round(float(second.mean()), 2)))
        return torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, *first.shape[-2:])


def test_flow_is_estimated_between_neighbours_outwards_and_chained() -> None:
    frames = [torch.full((1, 3, 16, 16), 0.1 * number) for number in range(5)]
    estimator = Counting()
    flows, _ = stack_flows(frames, 2, estimator)
    assert estimator.asked == [(0.2, 0.1), (0.1, 0.0), (0.2, 0.3), (0.3, 0.4)]
    assert [float(flow[0, 0].mean()) for flow in flows] == pytest.approx([2, 1, 0, 1, 2])


def test_chained_zooms_are_their_product() -> None:
    both = chained(zoom_flow(1.02), zoom_flow(1.05))
    assert torch.allclose(inside(both), inside(zoom_flow(1.02 * 1.05)), atol=1e-3)


def test_a_resized_flow_points_to_the_same_places() -> None:
    torch.testing.assert_close(
        inside(resized_flow(zoom_flow(1.1, 40, 60), 80, 120)), inside(zoom_flow(1.1, 80, 120)), atol=1e-4, rtol=0
    )
    same = zoom_flow(1.1, 40, 60)
    assert resized_flow(same, 40, 60) is same


def test_reduced() -> None:
    assert reduced(torch.zeros(1, 3, 30, 50), 25).shape == (1, 3, 15, 25)
    assert reduced(torch.zeros(1, 3, 30, 50), 50).shape == (1, 3, 30, 50)


def test_exposures_are_found_under_unequal_blur_and_clipping(photo: torch.Tensor) -> None:
    truth = rendered(photo, (1.0, 1.02, 1.0), (1.0, 1.3, 0.8))
    frames = [frame[None].float() / 255 for frame in truth.frames]
    found = exposures(frames, truth.flows, 0)
    torch.testing.assert_close(found, torch.tensor([1, 1 / 1.3, 1 / 0.8])[:, None].expand(3, 3), atol=0.01, rtol=0)
    assert (warp(frames[1], truth.flows[1]) * found[1].view(1, 3, 1, 1) - frames[0]).abs().mean() < 0.04
