"""Networks from checkpoints and published weights, in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from jdrl_lightning import backbones, build
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.method_network import AVERAGED, checkpoint, weights
from jdrl_lightning.io.weights import CHECKPOINT_KEY, read_weights
from jdrl_lightning.types import Pair

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {"name": "unet", "width": 4, "dropout": 0.0}
TILES = {"tile": 64, "overlap": 16}


@pytest.fixture
def network() -> Backbone:
    torch.manual_seed(0)
    return backbones.create(**SMALL).eval()


def saved(network: Backbone, path: Path, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"backbone.{key}": value for key, value in network.state_dict().items()}
    config = {"backbone": SMALL, "objective": {"name": "charbonnier"}}
    torch.save({"state_dict": state, CHECKPOINT_KEY: {"config": config}} | more, path)
    return path


def restored(method: Any, blurry: Tensor) -> Tensor:
    return method.restore(Pair(blurry, torch.zeros_like(blurry), ["a"], {}))


def test_a_checkpoint_restores_with_its_network_and_brings_its_config(network: Backbone, tmp_path: Path) -> None:
    path, blurry = saved(network, tmp_path / "my_run" / "checkpoints" / "best.ckpt"), torch.rand(1, 3, 33, 47)
    method = checkpoint({"ckpt_path": str(path), **TILES}, CPU)
    with torch.no_grad():
        torch.testing.assert_close(restored(method, blurry), network(blurry).images[0], rtol=0, atol=1e-5)
    assert method.title == "my_run"
    assert method.training == {"backbone": SMALL, "objective": {"name": "charbonnier"}}
    assert "no average of them" in method.notes[0]
    assert "multiples of 16 px" in method.notes[1]
    elsewhere = saved(network, tmp_path / "averaged.ckpt", **{AVERAGED: {}})
    averaged = checkpoint({"ckpt_path": str(elsewhere), **TILES}, CPU)
    assert averaged.title == "averaged"
    assert "averaged weights (EMA)" in averaged.notes[0]


def test_a_checkpoint_is_read_once(network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = saved(network, tmp_path / "best.ckpt"), []
    monkeypatch.setattr(build, "read_weights", lambda file: read.append(file) or read_weights(file))
    checkpoint({"ckpt_path": str(path), **TILES}, CPU)
    assert read == [path]


def test_published_weights_and_their_licence(network: Backbone, tmp_path: Path) -> None:
    torch.save(network.network.state_dict(), tmp_path / "published.pth")
    settings = SMALL | {"weights": str(tmp_path / "published.pth")}
    method, blurry = weights({"backbone": settings, **TILES}, CPU), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(restored(method, blurry), network(blurry).images[0], rtol=0, atol=1e-5)
    assert network.licence in method.notes[0]
    assert method.training is None


def test_larger_images_are_restored_in_tiles(
    network: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = checkpoint({"ckpt_path": str(saved(network, tmp_path / "best.ckpt")), **TILES}, CPU)
    sizes, forward = [], Backbone.forward

    def spy(self: Backbone, blurry: Tensor) -> Any:
        sizes.append(tuple(blurry.shape[-2:]))
        return forward(self, blurry)

    monkeypatch.setattr(Backbone, "forward", spy)
    assert restored(method, torch.rand(1, 3, 40, 130)).shape == (1, 3, 40, 130)
    assert len(sizes) > 1
    assert set(sizes) == {(48, 64)}


def test_wrong_settings(network: Backbone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs backbone\.weights=<file>: without it unet is untrained"):
        weights({"backbone": SMALL, **TILES}, CPU)
    path = saved(network, tmp_path / "best.ckpt")
    with pytest.raises(UserError, match="tile=16 is not at least 32"):
        checkpoint({"ckpt_path": str(path), "tile": 16, "overlap": 16}, CPU)
