"""RAFT is torchvision's own, at any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models import optical_flow

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError


def images(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.rand(batch, 3, height, width, generator=generator) for _ in range(2))
    return first, second


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[torch.nn.Module, Path]:
    """torchvision's network, and its weights in a file."""
    torch.manual_seed(0)
    network = optical_flow.raft_small(weights=None).eval()
    path = tmp_path_factory.mktemp("raft") / "raft_small.pth"
    torch.save(network.state_dict(), path)
    return network, path


@torch.no_grad()
def test_small_is_torchvisions(small: tuple[torch.nn.Module, Path]) -> None:
    network, path = small
    first, second = images(128, 136, batch=2)
    found = flow.create("raft_small", weights=str(path))(first, second)
    expected = network(2 * first - 1, 2 * second - 1)  # 12 updates are its default too
    assert len(expected) == 12
    torch.testing.assert_close(found, expected[-1], rtol=1e-5, atol=1e-5)
    assert found.abs().max() > 0.1


@torch.no_grad()
@pytest.mark.parametrize("size", [(61, 133), (129, 150)])
def test_other_sizes_are_padded_and_cut_back(size: tuple[int, int], small: tuple[torch.nn.Module, Path]) -> None:
    network, path = small
    first, second = images(*size)
    found = flow.create("raft_small", weights=path, iterations=2)(first, second)
    height, width = (max(128, -(-side // 8) * 8) for side in size)
    padding = ((0, 0), (0, 0), (0, height - size[0]), (0, width - size[1]))
    pair = (torch.from_numpy(np.pad(2 * image.numpy() - 1, padding, mode="edge")) for image in (first, second))
    expected = network(*pair, num_flow_updates=2)[-1][..., : size[0], : size[1]]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_large_is_torchvisions(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = optical_flow.raft_large(weights=None).eval()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # statistics that a network in training mode would not use
            layer.running_mean.uniform_(-0.1, 0.1)
    torch.save(network.state_dict(), tmp_path / "raft_large.pth")
    first, second = images(128, 128)
    found = flow.create("raft_large", weights=tmp_path / "raft_large.pth", iterations=1)(first, second)
    torch.testing.assert_close(
        found, network(2 * first - 1, 2 * second - 1, num_flow_updates=1)[-1], rtol=1e-5, atol=1e-5
    )


def test_smallest_image(small: tuple[torch.nn.Module, Path]) -> None:
    found = flow.create("raft_small", weights=small[1], iterations=1)(*images(1, 1))
    assert found.shape == (1, 2, 1, 1)
    assert found.isfinite().all()


def test_wrong_settings(small: tuple[torch.nn.Module, Path]) -> None:
    with pytest.raises(UserError, match=r"iterations=0 must be at least 1"):
        flow.create("raft_small", weights=small[1], iterations=0)
    with pytest.raises(UserError, match=r"raft_small\.pth do not fit flow=raft_large: .* missing: .* unexpected: "):
        flow.create("raft_large", weights=small[1])
