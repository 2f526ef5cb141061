"""The operator's inputs as one tuple."""

from __future__ import annotations

import torch
from torch import Tensor

from reblur.random_maps import random_inputs


def test_shapes_and_map() -> None:
    inputs = random_inputs(4, 5, 7, batch=2, channels=1, support="disk", absolute=False)
    assert inputs.levels == 4
    assert inputs.output_shape == (2, 1, 5, 7)
    doubled = inputs.map(Tensor.double)
    assert [tensor.dtype for tensor in doubled[:3]] == [torch.float64] * 3
    assert (doubled.support, doubled.absolute) == ("disk", False)
    assert all(map(torch.equal, doubled.map(Tensor.float)[:3], inputs[:3]))


def test_coarse_maps_do_not_change_the_output() -> None:
    inputs = random_inputs(4, 5, 7, batch=2, channels=1, stride=3)
    assert inputs.seeds.shape[2:] == (2, 3)
    assert inputs.output_shape == (2, 1, 5, 7)
