from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from spandrel import ModelLoader
from spandrel.architectures.Compact import Compact
from spandrel.architectures.DnCNN import DnCNN
from spandrel.architectures.NAFNet import NAFNet
from spandrel.architectures.SCUNet import SCUNet
from spandrel.architectures.Uformer import Uformer
from spandrel_extra_arches.architectures.MPRNet import MPRNet

from jdrl_lightning import backbones
from jdrl_lightning.errors import UserError
from network_checks import assert_exports

pytestmark = pytest.mark.filterwarnings("ignore:.*saved_variables.*", "ignore:.*indexing argument.*")
SMALL: dict[str, Any] = {"width": 4, "enc_blk_nums": [1, 1], "middle_blk_num": 1, "dec_blk_nums": [1, 1]}


def _nafnet(seed: int = 0) -> NAFNet:
    torch.manual_seed(seed)
    network = NAFNet(**SMALL)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize("layout", ["bare", "params", "module", "safetensors", "ours"])
def test_recognises_a_network_from_its_weights(layout: str, tmp_path: Path) -> None:
    theirs = _nafnet()
    state, file = theirs.state_dict(), tmp_path / "weights.pth"
    if layout == "safetensors":
        file = tmp_path / "weights.safetensors"
        save_file(state, file)
    else:
        ours = {f"backbone.network.{key}": value for key, value in state.items()} | {"objective.weight": torch.ones(2)}
        parallel = {f"module.{key}": value for key, value in state.items()}
        forms = {"bare": state, "params": {"params": state}, "module": {"state_dict": parallel}}
        torch.save((forms | {"ours": {"state_dict": ours}})[layout], file)
    backbone = backbones.create("spandrel", path=str(file))
    assert backbone.name == "spandrel:NAFNet"
    assert backbone.network.state_dict().keys() == state.keys()
    blurry = torch.rand(2, 3, 18, 21)
    assert torch.equal(backbone(blurry).images[0], theirs(blurry))


def test_trains_without_the_librarys_wrapper(tmp_path: Path) -> None:
    torch.save(_nafnet().state_dict(), tmp_path / "w.pth")
    backbone = backbones.create("spandrel", path=str(tmp_path / "w.pth"))
    blurry = torch.rand(1, 3, 16, 16)
    optimizer = torch.optim.SGD(backbone.parameters(), lr=1e-4)
    before = backbone(blurry).images[0]
    assert before.min() < 0  # not clamped
    assert all(module.training for module in backbone.modules())
    losses = []
    for _ in range(3):
        loss = (backbone(blurry).images[0] - blurry).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[2] < losses[1] < losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.parameters())


def test_other_weights_for_the_same_network(tmp_path: Path) -> None:
    torch.save(_nafnet(0).state_dict(), tmp_path / "first.pth")
    torch.save({"params": _nafnet(1).state_dict()}, tmp_path / "second.pth")
    backbone = backbones.create("spandrel", path=str(tmp_path / "first.pth"))
    assert backbones.load_weights(backbone, tmp_path / "second.pth").licence == backbone.licence
    blurry = torch.rand(1, 3, 16, 16)
    assert torch.equal(backbone(blurry).images[0], _nafnet(1)(blurry))


def test_extra_architectures_on_request(tmp_path: Path) -> None:
    theirs, path = MPRNet(n_feat=8, scale_unetfeats=4, scale_orsnetfeats=4, num_cab=1), str(tmp_path / "w.pth")
    torch.save({"state_dict": theirs.state_dict()}, path)
    with pytest.raises(UserError, match=r"w\.pth are of a network unknown to spandrel; backbone\.extra_arches=true"):
        backbones.create("spandrel", path=path)
    backbone = backbones.create("spandrel", path=path, extra_arches=True)
    assert (backbone.divisor, backbone.name) == (8, "spandrel:MPRNet")
    assert "non-commercial" in backbone.licence
    restored = backbone(torch.rand(1, 3, 17, 30)).images
    assert [image.shape for image in restored] == 3 * [(1, 3, 17, 30)]
    with pytest.raises(UserError, match="a network unknown to spandrel"):  # the library's own registry is unchanged
        backbones.create("spandrel", path=path)


def test_divisor_satisfies_the_smallest_size(tmp_path: Path) -> None:
    torch.save(SCUNet(dim=64, config=[1] * 7).state_dict(), tmp_path / "w.pth")
    backbone = backbones.create("spandrel", path=str(tmp_path / "w.pth"))
    size = ModelLoader("cpu").load_from_state_dict(torch.load(tmp_path / "w.pth")).size_requirements
    assert size.minimum > size.multiple_of  # otherwise the test would show nothing
    assert backbone.divisor >= size.minimum
    assert backbone.divisor % size.multiple_of == 0
    assert backbone(torch.rand(1, 3, 3, 50)).images[0].shape == (1, 3, 3, 50)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: Compact(num_feat=4, num_conv=1, upscale=2), "Compact maps 3 channels to 3 at 2× the size"),
        (lambda: DnCNN(in_nc=1, out_nc=1, nc=8, nb=17), "DnCNN maps 1 channels to 1 at 1× the size"),
        (lambda: Uformer(embed_dim=8), "Uformer takes square images only"),
    ],
)
def test_networks_of_another_kind_are_refused(network: Any, message: str, tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "w.pth")
    with pytest.raises(UserError, match=message):
        backbones.create("spandrel", path=str(tmp_path / "w.pth"))


def test_a_network_with_further_inputs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(_nafnet().state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(NAFNet, "forward", lambda self, image, noise_level: image)
    with pytest.raises(UserError, match=r"NAFNet does not map one image to one image \(.*noise_level"):
        backbones.create("spandrel", path=str(tmp_path / "w.pth"))


def test_files_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"backbone\.path=<file>"):
        backbones.create("spandrel")
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist"):
        backbones.create("spandrel", path=str(tmp_path / "nowhere.pth"))
    state = _nafnet().state_dict()
    state["encoders.0.0.conv1.weight"] = torch.rand(3, 3)  # recognised, but it does not fit
    contents = [torch.rand(3), {"epoch": 3}, {"state_dict": None}, {3: torch.rand(2)}, {}, {"state_dict": state}]
    for number, content in enumerate(contents):
        path = str(tmp_path / f"odd{number}.pth")
        torch.save(content, path)
        with pytest.raises(
            UserError, match=rf"odd{number}\.pth (hold no state dict|are of a network unknown|do not fit)"
        ):
            backbones.create("spandrel", path=path)
    torch.save(_nafnet(), tmp_path / "pickled.pth")
    with pytest.raises(UserError, match=r"pickled\.pth hold pickled code"):
        backbones.create("spandrel", path=str(tmp_path / "pickled.pth"))


@pytest.mark.parametrize(
    ("package", "remedy"),
    [("spandrel", r"jdrl_lightning\[spandrel\]"), ("spandrel_extra_arches", "pip install spandrel_extra_arches")],
)
def test_missing_packages(package: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(_nafnet().state_dict(), tmp_path / "w.pth")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=remedy):
        backbones.create("spandrel", path=str(tmp_path / "w.pth"), extra_arches=True)


def test_export(tmp_path: Path) -> None:
    torch.save(_nafnet().state_dict(), tmp_path / "w.pth")
    assert_exports(backbones.create("spandrel", path=str(tmp_path / "w.pth")).eval())
