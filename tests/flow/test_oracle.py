"""The truth and no motion, under their names."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError


def test_the_oracle_cannot_look_at_images() -> None:
    oracle = flow.create("oracle")
    assert oracle.uses_truth
    image = torch.rand(1, 3, 8, 8)
    with pytest.raises(UserError, match=r"flow=oracle.*extras"):
        oracle(image, image)


def test_none_sees_no_motion() -> None:
    zero = flow.create("none")
    assert not zero.uses_truth
    found = zero(torch.rand(2, 3, 6, 7), torch.rand(2, 3, 6, 7))
    assert torch.equal(found, torch.zeros(2, 2, 6, 7))


def test_names_are_those_that_can_be_made() -> None:
    assert {"gauss_newton", "oracle", "none"} <= set(flow.names())
    for name in ("gauss_newton", "oracle", "none"):
        assert flow.create(name).licence
    with pytest.raises(UserError, match=r"unknown flow estimator 'pwc'.*gauss_newton"):
        flow.create("pwc")
    with pytest.raises(UserError, match="speed"):
        flow.create("gauss_newton", speed=2)
