"""The length of flow vectors, against PyTorch's norm."""

from __future__ import annotations

import torch

from jdrl_lightning.flow.warp import magnitude


def test_is_the_norm_over_the_two_components() -> None:
    flow = 9 * torch.randn(2, 2, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(magnitude(flow), flow.norm(dim=1, keepdim=True))
    assert magnitude(torch.zeros(1, 2, 3, 3, dtype=torch.bfloat16)).eq(0).all()
