"""scikit-image's TV-L1 without motion or texture. Accuracy: test_weightless."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow


@pytest.mark.parametrize("size", [(1, 1), (12, 200), (16, 17), (33, 40)])
def test_no_texture_is_no_motion(size: tuple[int, int]) -> None:
    black = torch.zeros(2, 3, *size)
    assert not flow.create("tvl1")(black, black).any()


def test_an_odd_height_has_no_offset(photo: Tensor) -> None:
    first, second = (photo[None, :, 60 + dy : 189 + dy, 160 + dx : 304 + dx] / 255 for dx, dy in ((-4, 5), (0, 0)))
    error = flow.create("tvl1")(first, second) - torch.tensor([-4.0, 5.0]).view(1, 2, 1, 1)
    assert error[..., 4:-9, 8:-4].norm(dim=1).mean() < 0.3  # where the content has a partner, 4 px from the border
