"""Counting without computing sees every tensor once."""

from __future__ import annotations

import torch
from torch import nn

from jdrl_lightning.runtime.counting import Alive, multiply_adds


def test_a_tensor_counts_while_it_is_alive_and_its_views_do_not() -> None:
    with Alive() as alive:
        image = torch.ones(100, 100)
        rows = image[:50].reshape(-1)
        assert alive.now == 40_000
        image = image.double()
        assert alive.now == 120_000  # the view holds the first
        del rows
        assert (alive.now, alive.peak) == (80_000, 120_000)


def test_what_was_there_before_does_not_count() -> None:
    weight = torch.ones(100, 100)
    with Alive() as alive:
        turned = weight.t()
        assert (turned[0].add(1).numel(), alive.now, alive.peak) == (100, 0, 400)


def test_multiply_adds_are_those_of_the_convolution() -> None:
    layer, image = nn.Conv2d(3, 5, 3, padding=1, bias=False), torch.rand(1, 3, 8, 10)
    assert multiply_adds(lambda: layer(image)) == 3 * 5 * 3 * 3 * 8 * 10
