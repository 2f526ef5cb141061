"""Names of layers in the two published files against those written down from them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning.flow.pwcnet import PWCNet
from jdrl_lightning.flow.pwcnet_keys import NVLABS, SNIKLAUS, rename

# The same tensor in sniklaus/pytorch-pwc and in NVlabs/PWC-Net, and its shape.
SAME = [
    ("moduleExtractor.moduleOne.0.weight", "conv1a.0.weight", (16, 3, 3, 3)),
    ("moduleExtractor.moduleOne.2.weight", "conv1aa.0.weight", (16, 16, 3, 3)),
    ("moduleExtractor.moduleSix.0.weight", "conv6aa.0.weight", (196, 128, 3, 3)),  # level 6 is aa, a, b
    ("moduleExtractor.moduleSix.2.weight", "conv6a.0.weight", (196, 196, 3, 3)),
    ("moduleSix.moduleOne.0.weight", "conv6_0.0.weight", (128, 81, 3, 3)),
    ("moduleFiv.moduleUpfeat.weight", "upfeat6.weight", (529, 2, 4, 4)),
    ("moduleFiv.moduleUpflow.bias", "deconv6.bias", (2,)),
    ("moduleTwo.moduleSix.0.bias", "predict_flow2.bias", (2,)),
    ("moduleRefiner.moduleMain.12.weight", "dc_conv7.weight", (2, 32, 3, 3)),
]


def ours() -> dict[str, Tensor]:
    with torch.device("meta"):
        return PWCNet().state_dict()


def test_both_layouts_name_every_layer() -> None:
    layers = {key.rpartition(".")[0] for key in ours()}
    assert len(layers) == len(NVLABS) == len(SNIKLAUS) == 63
    assert set(NVLABS.values()) == set(SNIKLAUS.values()) == layers
    assert {name.split(".")[0] for name in SNIKLAUS} == {
        f"net{part}" for part in ("Extractor", "Two", "Thr", "Fou", "Fiv", "Six", "Refiner")
    }


@pytest.mark.parametrize(("sniklaus", "nvlabs", "shape"), SAME)
def test_one_tensor_has_one_key(sniklaus: str, nvlabs: str, shape: tuple[int, ...]) -> None:
    value, extractor = torch.rand(1), {"moduleExtractor.moduleOne.0.bias": torch.rand(1)}
    (key,) = rename({nvlabs: value})
    assert rename({sniklaus: value} | extractor)[key] is value
    assert (
        rename({name.replace("module", "net"): v for name, v in ({sniklaus: value} | extractor).items()})[key] is value
    )
    assert ours()[key].shape == shape


def test_our_keys_stay_and_the_unused_upsampling_is_dropped() -> None:
    state = ours()
    assert rename(state).keys() == state.keys()
    assert (
        rename(state | {"deconv2.weight": torch.rand(2, 2, 4, 4), "deconv2.bias": torch.rand(2)}).keys() == state.keys()
    )
