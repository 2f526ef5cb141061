"""What a guided network is made of: by name or not at all, and from a checkpoint without the files of its training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError, backbones, build
from jdrl_lightning.backbones.base import Backbone
from small import backbone_settings

SPANDREL = pytest.mark.filterwarnings("ignore:.*saved_variables.*")


@SPANDREL
@pytest.mark.parametrize("depth", [1, 2])
def test_a_network_known_by_its_weights_is_loaded_without_their_file(depth: int, tmp_path: Path) -> None:
    of = {"name": "spandrel", **backbone_settings("spandrel", tmp_path)}
    settings: dict[str, Any] = {"name": "guided", "width": 4, "of": of}
    if depth == 2:
        settings = {"name": "guided", "width": 4, "of": settings}
    module = build.module({"backbone": settings, "objective": {"name": "l1"}, "seed": 0}).eval()
    for parameter in module.parameters():
        parameter.data += 0.01  # what a training would change
    torch.save({"state_dict": module.state_dict(), "jdrl_lightning": {"config": module.config}}, tmp_path / "a.ckpt")
    module.save_pretrained(tmp_path / "model")
    Path(of["path"]).unlink()
    blurry = torch.rand(1, 3, 16, 16)
    expected = module(blurry)
    for place in (tmp_path / "a.ckpt", tmp_path / "model"):
        assert torch.equal(build.backbone_from_checkpoint(place)(blurry).images[0], expected)
        assert torch.equal(build.from_checkpoint(place)(blurry), expected)
    assert torch.equal(Backbone.from_pretrained(tmp_path / "model")(blurry).images[0], expected)


def test_a_network_given_by_its_name_alone_is_told_how(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    config = composed(tmp_path, "backbone=guided", "backbone.of=nafnet")
    remedy = "write backbone@backbone.of=nafnet, in Python of={'name': 'nafnet'}"
    with pytest.raises(UserError) as error:
        build.module(config)
    assert str(error.value) == f"backbone.of='nafnet' is no network: {remedy}"
    with pytest.raises(UserError, match=r"^backbone\.of=None is no network: write backbone@backbone\.of=<name>, "):
        backbones.create("guided", of=None)
