from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from spandrel_extra_arches.architectures.Restormer import Restormer as SpandrelRestormer

from jdrl_lightning import backbones
from jdrl_lightning.backbones.restormer import Restormer
from jdrl_lightning.errors import UserError
from network_checks import assert_autocast_trains, assert_equals, assert_exports, randomise

SMALL: dict[str, Any] = {"dim": 8, "num_blocks": [1, 2, 1, 1], "num_refinement_blocks": 1, "heads": [1, 2, 2, 4]}


def test_published_size() -> None:
    with torch.device("meta"):
        network = Restormer()
    assert sum(parameter.numel() for parameter in network.parameters()) == 26_126_644
    assert len(network.state_dict()) == 494


def test_equals_spandrel() -> None:
    blurry, weight = torch.rand(2, 2, 3, 24, 40, dtype=torch.float64).unbind()
    assert_equals(Restormer(**SMALL).double(), SpandrelRestormer(**SMALL).double(), blurry, weight)


def test_hidden_channels_follow_the_factor() -> None:
    ours, theirs = (make(**SMALL, ffn_expansion_factor=1.7) for make in (Restormer, SpandrelRestormer))
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in (ours, theirs)]
    assert shapes[0] == shapes[1]
    assert shapes[0]["latent.0.ffn.project_out.weight"] == (64, 108, 1, 1)


def test_official_layout(tmp_path: Path) -> None:
    theirs = SpandrelRestormer(**SMALL)
    randomise(theirs)
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
    assert_autocast_trains(backbones.create("restormer", **SMALL))


def test_export() -> None:
    assert_exports(backbones.create("restormer", **SMALL).eval())


def test_wrong_settings() -> None:
    with pytest.raises(UserError, match="four numbers each"):
        backbones.create("restormer", **SMALL | {"heads": [1, 2, 4]})
    with pytest.raises(UserError, match=r"dim=8 .* \[1, 3, 2, 4\]"):
        backbones.create("restormer", **SMALL | {"heads": [1, 3, 2, 4]})
