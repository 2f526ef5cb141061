from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from jdrl_lightning.callbacks.blur_radius import BlurCallback
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.types import Pair

REBLUR = ReblurNet(levels=3, width=4)


@pytest.mark.parametrize(
    ("network", "batch_idx", "first", "logged"),
    [
        (REBLUR, 0, True, True),
        (REBLUR, 1, True, False),
        (REBLUR, 0, False, False),
        (ReblurNet(levels=3, width=4, kernel="free"), 0, True, False),
        (None, 0, True, False),
    ],
    ids=["first image", "second image", "another rank", "free kernels", "no reblurring"],
)
def test_the_radius_is_logged_if_there_is_one(network: Any, batch_idx: int, first: bool, logged: bool) -> None:
    found: dict[str, torch.Tensor] = {}
    trainer: Any = SimpleNamespace(sanity_checking=False, is_global_zero=first, loggers=[], global_step=0)
    module: Any = SimpleNamespace(
        objective=SimpleNamespace(reblur=network), log_dict=lambda values, **_: found.update(values)
    )
    restored, blurry = torch.rand(2, 1, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    pair = Pair(blurry, restored, ["a"], {})
    BlurCallback(size=8).on_validation_batch_end(trainer, module, {"restored": restored}, pair, batch_idx)
    assert bool(found) == logged
    if logged:
        middle = (..., slice(6, 14), slice(6, 14))
        expected = REBLUR.blur_radius(restored[middle], blurry[middle])
        assert found["val/blur/mean_px"].item() == pytest.approx(expected.mean().item())
        assert found["val/blur/mean_px"] < found["val/blur/p95_px"] <= expected.max()
