"""Colour coding of flow, against torchvision's."""

from __future__ import annotations

import torch
from torchvision.utils import flow_to_image

from jdrl_lightning.flow.color import flow_to_rgb, wheel


def test_the_wheel_has_55_colours_and_is_closed() -> None:
    colours = wheel()
    assert colours.shape == (55, 3)
    assert len({tuple(colour.tolist()) for colour in colours}) == 55
    assert torch.equal(colours.amax(1), torch.ones(55))  # fully bright
    assert torch.equal(colours.amin(1), torch.zeros(55))  # and fully saturated
    steps = (colours - colours.roll(-1, 0)).abs().amax(1)
    assert steps.max() <= 0.26  # no jump, also not from the last to the first: the shortest arc has four colours
    assert torch.equal(colours[0], torch.tensor([1.0, 0, 0]))


def test_equal_to_torchvision() -> None:
    """To a grey level of 255: torchvision rounds down, and scales by the largest plus a rounding error."""
    flow = 12 * torch.randn(3, 2, 40, 50, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        expected = flow_to_image(flow[i]).float() / 255
        torch.testing.assert_close(flow_to_rgb(flow[i : i + 1])[0], expected, rtol=0, atol=1.5 / 255)
    torch.testing.assert_close(flow_to_rgb(flow)[1:2], flow_to_rgb(flow[1:2]))


def test_no_motion_is_white() -> None:
    assert torch.equal(flow_to_rgb(torch.zeros(2, 2, 5, 6)), torch.ones(2, 3, 5, 6))


def test_beyond_the_largest_it_is_darker() -> None:
    flow = torch.zeros(1, 2, 1, 2)
    flow[0, 0] = torch.tensor([4.0, 8.0])
    shown = flow_to_rgb(flow, largest=4.0)[0, :, 0]
    assert shown[:, 0].max() == 1
    torch.testing.assert_close(shown[:, 1], 0.75 * shown[:, 0])
    each = flow_to_rgb(flow.expand(2, 2, 1, 2), largest=torch.tensor([4.0, 16.0]))
    assert each[1].min() > each[0].min()  # half the saturation
