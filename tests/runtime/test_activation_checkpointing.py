"""Checkpointed modules store only their input and compute the same gradients."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from jdrl_lightning.runtime.activation_checkpointing import checkpoint_activations


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 8)) for _ in range(3))
    )


def gradients(network: nn.Sequential) -> tuple[dict[str, Tensor], int]:
    """Gradients by parameter, and how many tensors were stored for the backward pass."""
    stored: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        stored.append(tensor)
        return tensor

    torch.manual_seed(1)
    given = torch.randn(4, 8, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(given)
    count = len(stored)
    output.square().sum().backward()
    return {name: value.grad for name, value in network.named_parameters() if value.grad is not None}, count


def test_gradients_are_equal_and_each_part_runs_twice() -> None:
    plain, ours = network(), network()
    calls = [0, 0, 0]

    def counted(index: int, module: nn.Module) -> None:
        inner = module[0].forward  # type: ignore[index]

        def forward(given: Tensor) -> Tensor:
            calls[index] += 1
            return inner(given)

        module[0].forward = forward  # type: ignore[index]

    for index, part in enumerate(ours):
        counted(index, part)
    assert checkpoint_activations(ours[:2])
    assert ours.state_dict().keys() == plain.state_dict().keys()
    (expected, many), (found, few) = gradients(plain), gradients(ours)
    assert calls == [2, 2, 1]
    assert few < many
    assert len(expected) == len(found) == 12
    assert all(torch.equal(found[name], value) for name, value in expected.items()), "dropout included"


def test_a_copy_checkpoints_too() -> None:
    ours = network()
    checkpoint_activations(ours)
    expected, _ = gradients(network())
    found, _ = gradients(copy.deepcopy(ours))
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_no_parts_are_reported() -> None:
    assert not checkpoint_activations(iter([]))
