"""Each network trains with JDRL."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from jdrl_lightning import Pair, backbones
from jdrl_lightning.objectives import create
from small import backbone_settings

SIDE, STEPS = 48, 20


@pytest.fixture(scope="module")
def pair(photo: Tensor) -> Pair:
    region = photo[None, :, 100 : 100 + SIDE + 8, 180 : 180 + SIDE + 8].float() / 255
    blurry = avg_pool2d(region, 5, 1, 2)[..., 4:-4, 4:-4]
    return Pair(blurry, region[..., 4:-4, 5:-3], ["a"], {})


@pytest.mark.parametrize("name", backbones.names())
def test_twenty_steps_of_jdrl_lower_the_loss(name: str, pair: Pair, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = backbones.create(name, **backbone_settings(name, tmp_path)).train()
    settings = {"flow": {"name": "gauss_newton"}, "reblur": {"width": 4, "levels": 3}, "warmup_epochs": 1}
    objective = create("jdrl_robust", flow_of="crop", output_weights=[1.0, 0.5], **settings)
    heads = backbone.auxiliary()
    trained = [*backbone.parameters(), *objective.parameters(), *(heads.parameters() if heads else ())]
    optimizer = torch.optim.Adam(trained, lr=2e-3)
    losses = []
    for step in range(STEPS):
        restored = backbone(pair.blurry)
        # The warm-up's target is fixed, so its losses are comparable; the joint stage follows.
        loss = objective(restored, pair, objective.schedule.at(0 if step < STEPS - 2 else 1)).total
        total = loss + sum(heads(backbone, restored, pair).values()) if heads else loss
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert all(torch.isfinite(parameter).all() for parameter in trained)
    assert min(losses[-6:-2]) < 0.95 * max(losses[:2])
    assert len(restored.images) == (3 if name == "mprnet" else 1)
