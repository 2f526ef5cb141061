from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from spandrel_extra_arches.architectures.Restormer import Restormer as SpandrelRestormer

from jdrl_lightning import backbones
from jdrl_lightning.backbones.restormer import Restormer
from jdrl_lightning.errors import UserError

SMALL: dict[str, Any] = {"dim": 8, "num_blocks": [1, 2, 1, 1], "num_refinement_blocks": 1, "heads": [1, 2, 2, 4]}


def _randomise(network: torch.nn.Module) -> None:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def test_published_size() -> None:
    with torch.device("meta"):
        network = Restormer()
    assert sum(parameter.numel() for parameter in network.parameters()) == 26_126_644
    assert len(network.state_dict()) == 494


def test_equals_spandrel() -> None:
    ours, theirs = Restormer(**SMALL).double(), SpandrelRestormer(**SMALL).double()
    _randomise(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    blurry, weight = torch.rand(2, 2, 3, 24, 40, dtype=torch.float64).unbind()
    for network in (ours, theirs):
        (network(blurry) * weight).sum().backward()
    torch.testing.assert_close(ours(blurry), theirs(blurry), rtol=1e-9, atol=1e-9)
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert parameter.grad.abs().max() > 0
        torch.testing.assert_close(parameter.grad, expected[name].grad, rtol=1e-7, atol=1e-7)


def test_hidden_channels_follow_the_factor() -> None:
    ours, theirs = (make(**SMALL, ffn_expansion_factor=1.7) for make in (Restormer, SpandrelRestormer))
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert shapes[0]["latent.0.ffn.project_out.weight"] == (64, 108, 1, 1)


def test_official_layout(tmp_path: Path) -> None:
    theirs = SpandrelRestormer(**SMALL)
    _randomise(theirs)
    torch.save({"params": theirs.state_dict()}, tmp_path / "weights.pth")
    backbone = backbones.create("restormer", **SMALL).eval()
    loaded = backbones.load_weights(backbone, tmp_path / "weights.pth")
    assert (loaded.layout, loaded.n_tensors) == ("params", len(theirs.state_dict()))
    assert "non-commercial" in str(loaded.licence)
    blurry = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(backbone(blurry).images[0], theirs(blurry).clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    backbone = backbones.create("restormer", **SMALL)
    assert backbone.divisor == 8
    restored = backbone(torch.rand(2, 3, *size)).images
    assert len(restored) == 1
    assert restored[0].shape == (2, 3, *size)


def test_autocast_trains() -> None:
    backbone = backbones.create("restormer", **SMALL)
    blurry = torch.rand(1, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        restored = backbone(blurry).images[0]
    torch.testing.assert_close(restored.float(), backbone(blurry).images[0], rtol=0, atol=0.05)
    restored.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in backbone.parameters())


def test_export() -> None:
    backbone = backbones.create("restormer", **SMALL).eval()
    blurry = torch.rand(1, 3, 16, 24)
    exported = torch.export.export(backbone, (blurry,)).module()
    torch.testing.assert_close(exported(blurry).images[0], backbone(blurry).images[0])


def test_wrong_settings() -> None:
    with pytest.raises(UserError, match="four numbers each"):
        backbones.create("restormer", **SMALL | {"heads": [1, 2, 4]})
    with pytest.raises(UserError, match=r"dim=8 .* \[1, 3, 2, 4\]"):
        backbones.create("restormer", **SMALL | {"heads": [1, 3, 2, 4]})
