from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from spandrel_extra_arches.architectures.MPRNet import MPRNet as SpandrelMPRNet

from jdrl_lightning import backbones
from jdrl_lightning.backbones.mprnet import MPRNet
from jdrl_lightning.errors import UserError
from network_checks import assert_autocast_trains, assert_exports, randomise

SMALL: dict[str, Any] = {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1}


def test_published_size() -> None:
    with torch.device("meta"):
        network = MPRNet()
    assert sum(parameter.numel() for parameter in network.parameters()) == 20_127_073
    assert len(network.state_dict()) == 316
    slopes = [p for name, p in network.named_parameters(remove_duplicate=False) if p.numel() == 1]
    assert len(slopes) == 55
    assert len({id(parameter) for parameter in slopes}) == 1


@pytest.mark.parametrize("settings", [{"num_cab": 2}, {"kernel_size": 5, "reduction": 2}])
def test_equals_spandrel(settings: dict[str, int]) -> None:
    ours, theirs = (make(**SMALL | settings).double() for make in (MPRNet, SpandrelMPRNet))
    randomise(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    ours.load_state_dict(theirs.state_dict())
    blurry, *weights = torch.rand(4, 2, 3, 24, 40, dtype=torch.float64).unbind()
    outputs = []
    for network in (ours, theirs):
        images = network(blurry)
        assert len(images) == 3
        sum((image * weight).sum() for image, weight in zip(images, weights, strict=True)).backward()
        outputs.append(images)
    torch.testing.assert_close(tuple(outputs[0]), tuple(outputs[1]), rtol=1e-9, atol=1e-9)
    assert not torch.allclose(outputs[0][0], outputs[0][1])
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        target = expected[name].grad  # 0 if a channel attention's narrow layer is dead
        torch.testing.assert_close(parameter.grad, target, rtol=1e-7, atol=1e-7 * target.abs().max().item())


def test_official_layout_loads_the_shared_prelu(tmp_path: Path) -> None:
    theirs = SpandrelMPRNet(**SMALL)
    with torch.no_grad():
        theirs.shallow_feat1[1].body[1].weight.fill_(0.125)
    state = theirs.state_dict()
    parallel = {f"module.{key}": value for key, value in state.items()}
    optimizer = torch.optim.Adam(theirs.parameters()).state_dict()
    torch.save({"epoch": 3, "state_dict": parallel, "optimizer": optimizer}, tmp_path / "w.pth")
    save_file({key: value.clone() for key, value in state.items()}, tmp_path / "w.safetensors")
    for file, layout in (("w.pth", "state_dict"), ("w.safetensors", "bare")):
        backbone = backbones.create("mprnet", **SMALL).eval()
        loaded = backbones.load_weights(backbone, tmp_path / file)
        assert (loaded.layout, loaded.n_tensors) == (layout, len(state))
        assert "non-commercial" in str(loaded.licence)
        assert {value.item() for value in backbone.network.state_dict().values() if value.numel() == 1} == {0.125}
        blurry = torch.rand(1, 3, 16, 16)
        expected = tuple(image.clamp(0, 1) for image in theirs(blurry))
        torch.testing.assert_close(backbone(blurry).images, expected, rtol=0, atol=1e-5)


def test_our_checkpoint_keeps_the_prelu_shared(tmp_path: Path) -> None:
    source, target = backbones.create("mprnet", **SMALL), backbones.create("mprnet", **SMALL)
    randomise(source)
    state = {f"backbone.{key}": value for key, value in source.state_dict().items()}
    torch.save({"state_dict": state}, tmp_path / "own.ckpt")
    assert backbones.load_weights(target, tmp_path / "own.ckpt").layout == "lightning"
    optimizer = torch.optim.SGD(target.parameters(), lr=0.1)
    target(torch.rand(1, 3, 16, 16)).images[0].square().sum().backward()
    optimizer.step()
    slopes = {value.item() for value in target.state_dict().values() if value.numel() == 1}
    assert len(slopes) == 1
    assert slopes != {value.item() for value in source.state_dict().values() if value.numel() == 1}


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    backbone = backbones.create("mprnet", **SMALL)
    assert backbone.divisor == 8
    restored = backbone(torch.rand(2, 3, *size)).images
    assert [image.shape for image in restored] == 3 * [(2, 3, *size)]


def test_quarters_are_independent_in_stage_one() -> None:
    torch.manual_seed(0)
    network = MPRNet(**SMALL).eval()
    blurry = torch.rand(2, 3, 32, 48)
    other = blurry.clone()
    other[..., 16:, :] = torch.rand(2, 3, 16, 48)
    before, after = network(blurry), network(other)
    torch.testing.assert_close(before[2][..., :16, :], after[2][..., :16, :])  # halves are split here
    assert not torch.allclose(before[1][..., :16, :], after[1][..., :16, :])  # joined from the second decoder on


def test_autocast_trains() -> None:
    assert_autocast_trains(backbones.create("mprnet", **SMALL))


def test_export() -> None:
    assert_exports(backbones.create("mprnet", **SMALL).eval())


def test_wrong_settings() -> None:
    with pytest.raises(UserError, match="kernel_size=2 must be odd"):
        backbones.create("mprnet", **SMALL, kernel_size=2)
    with pytest.raises(UserError, match="reduction=9 must be from 1 to n_feat=8"):
        backbones.create("mprnet", **SMALL, reduction=9)
