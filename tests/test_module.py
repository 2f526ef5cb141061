from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from jdrl_lightning import DeblurringModule, backbones, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import Pair


class Reads(TorchDispatchMode):
    """Notes every operator whose result the host must wait for: a number, or a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero"):
            self.found.add(name)
        return func(*args, **(kwargs or {}))


class Shift(FlowEstimator):
    def estimate(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        return torch.full_like(first[:, :2], 0.2)


@pytest.mark.parametrize("mask", ["magnitude", "residual", "consistency"])
def test_a_training_step_and_what_it_logs_never_waits_for_the_device(
    mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = objectives.create("jdrl", flow=Shift(), reblur={"width": 4, "levels": 3}, mask=mask)
    module = DeblurringModule(backbones.create("unet", width=4), objective)
    logged: dict[str, Any] = {}
    monkeypatch.setattr(module, "log", lambda name, value, **_: logged.update({name: value}))
    monkeypatch.setattr(module, "log_dict", lambda values, **_: logged.update(values))
    draw = torch.Generator().manual_seed(0)
    blurry, sharp = torch.rand(2, 2, 3, 32, 32, generator=draw)
    with Reads() as reads:
        module.training_step(Pair(blurry, sharp, ["a", "b"], {}), 0)
    assert not reads.found
    assert all(isinstance(value, torch.Tensor) and value.numel() == 1 for value in logged.values())
    assert logged["train/flow_px"].item() == pytest.approx(0.2 * 2**0.5)
    assert logged["train/flow_p95_px"].item() == pytest.approx(0.2 * 2**0.5)


def test_the_watch_sees_a_read() -> None:
    with Reads() as reads:
        float(torch.ones(3).sum())
    assert reads.found == {"_local_scalar_dense"}
