"""Constants are copied to a device once."""

from __future__ import annotations

import torch

from jdrl_lightning.runtime.device_constants import constant


def test_one_copy_for_each_dtype() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    with torch.inference_mode():
        first = constant((1.0, 2.5), like)
    assert first.dtype == torch.float64
    assert first.tolist() == [1.0, 2.5]
    assert constant((1.0, 2.5), torch.ones(2, 3, dtype=torch.float64)) is first
    assert constant((1.0, 2.5), like.float()).dtype == torch.float32
    (first * torch.ones(2, dtype=torch.float64, requires_grad=True)).sum().backward()  # not an inference tensor
