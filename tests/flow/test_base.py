"""What every estimator guarantees."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.flow.base import FlowEstimator, both_ways


class Spy(FlowEstimator):
    """Records its input, and computes a product that autocast would round."""

    weight = nn.Parameter(torch.ones(()))  # as in a network that was not frozen
    seen: tuple[Tensor, Tensor]
    product: Tensor

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.seen = first, second
        second = second * self.weight
        self.product = torch.ones(4, 4, device=first.device) @ torch.ones(4, 4, device=first.device)
        return (first - second)[:, :2]


def images(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = (3 * torch.rand(2, 3, 5, 6, generator=generator) - 1 for _ in range(2))
    return first.to(dtype), second.to(dtype)


def test_no_gradient_passes() -> None:
    first, second = (image.requires_grad_() for image in images())
    spy = Spy()
    flow = spy(first, second)
    assert not flow.requires_grad
    assert not spy.seen[0].requires_grad
    assert first.requires_grad
    with torch.enable_grad():
        assert not spy(first, second).requires_grad


def test_images_are_clamped_for_the_estimator_alone() -> None:
    first, second = images()
    before, spy = first.clone(), Spy()
    spy(first, second)
    torch.testing.assert_close(spy.seen[0], first.clamp(0, 1))
    torch.testing.assert_close(spy.seen[1], second.clamp(0, 1))
    assert torch.equal(first, before)
    assert first.min() < -0.5


@pytest.mark.parametrize(
    ("given", "returned"),
    [
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.bfloat16, torch.float32),
        (torch.float16, torch.float32),
    ],
)
def test_estimates_in_float32(given: torch.dtype, returned: torch.dtype) -> None:
    spy = Spy()
    assert spy(*images(given)).dtype == returned
    assert spy.seen[0].dtype == spy.seen[1].dtype == torch.float32


def test_autocast_is_off_inside() -> None:
    spy = Spy()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert (torch.ones(4, 4) @ torch.ones(4, 4)).dtype == torch.bfloat16
        assert spy(*images()).dtype == torch.float32
    assert spy.product.dtype == torch.float32


def test_a_copied_model_shares_its_estimator() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.flow = Spy()

    holder = Holder()
    copied = copy.deepcopy(holder)
    assert copied.flow is holder.flow
    assert copied.layer is not holder.layer
    assert set(holder.state_dict()) == {"layer.weight", "layer.bias"}
    assert not isinstance(holder.flow, nn.Module)


def test_shapes_must_agree() -> None:
    first, second = images()
    with pytest.raises(ValueError, match="the same"):
        Spy()(first, second[..., :5])
    with pytest.raises(ValueError, match="the same"):
        Spy()(first[0], second[0])


def test_the_base_class_estimates_nothing() -> None:
    with pytest.raises(NotImplementedError):
        FlowEstimator()(*images())


def test_both_ways_is_each_way() -> None:
    first, second = images()
    spy, batches = Spy(), {True: 2 * len(first), False: len(first)}
    for together, batch in batches.items():
        there, back = both_ways(spy, first, second, together)
        assert torch.equal(there, spy(first, second))
        assert torch.equal(back, spy(second, first))
        both_ways(spy, first, second, together)
        assert len(spy.seen[0]) == batch


def test_a_start_is_for_estimators_that_use_it() -> None:
    class Starting(Spy):
        uses_start = True

        def estimate_from(self, first: Tensor, second: Tensor, start: Tensor) -> Tensor:
            return start + 1

    first, second = images()
    near = torch.zeros(2, 2, 5, 6)
    assert torch.equal(Starting()(first, second, near), near + 1)
    assert torch.equal(Spy()(first, second, near), Spy()(first, second))
    there, back = both_ways(Starting(), first, second, start=(near, near + 1))
    assert torch.equal(there, near + 1)
    assert torch.equal(back, near + 2)
