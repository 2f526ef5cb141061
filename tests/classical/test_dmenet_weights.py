from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.classical.dmenet import DMENet
from jdrl_lightning.classical.dmenet_weights import load_dmenet
from jdrl_lightning.errors import UserError


def _small(seed: int = 0) -> DMENet:
    """With running statistics other than 0 and 1, so that what is not loaded shows."""
    torch.manual_seed(seed)
    network = DMENet(width=4)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
    return network.eval()


def _as_tensorlayer(network: DMENet) -> list[np.ndarray]:
    """Written down layer by layer, as TensorLayer stores: kernels HWIO; offset, factor, mean, variance."""
    arrays = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            arrays += [layer.weight.permute(2, 3, 1, 0), layer.bias]
        elif isinstance(layer, nn.BatchNorm2d):
            arrays += [layer.bias, layer.weight, layer.running_mean, layer.running_var]
    return [array.detach().numpy() for array in arrays]


@pytest.mark.parametrize("kind", ["pth", "wrapped", "npz"])
def test_weights_from_a_file(kind: str, tmp_path: Path) -> None:
    saved, network, image = _small(1), _small(2), torch.rand(1, 3, 16, 32)
    file = tmp_path / ("weights.npz" if kind == "npz" else "weights.pth")
    if kind == "npz":
        np.savez(file, *_as_tensorlayer(saved))
    else:
        state = saved.state_dict()
        torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}} if kind == "wrapped" else state, file)
    assert not torch.allclose(network(image)[0], saved(image)[0])
    load_dmenet(network, file)
    assert torch.equal(network(image)[0], saved(image)[0])


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    network = _small()
    before: dict[str, Tensor] = {k: v.clone() for k, v in network.state_dict().items()}
    torch.save(DMENet(width=2).state_dict(), tmp_path / "narrow.pth")
    np.savez(tmp_path / "short.npz", *_as_tensorlayer(network)[:-1])
    for name, message in (("narrow.pth", "narrow.pth do not fit dmenet with this width"), ("short.npz", "do not fit")):
        with pytest.raises(UserError, match=message):
            load_dmenet(network, tmp_path / name)
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())
