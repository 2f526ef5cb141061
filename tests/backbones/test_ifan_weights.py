from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from backbones.small_ifan import tiny
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.errors import UserError


def _published(backbone: Backbone, rename: bool = True) -> dict[str, Tensor]:
    """A file's content, with other names than ours except for the prefix and the second encoder's."""
    state = {"module.reblurNet.0.weight": torch.rand(3, 3)}
    for number, (key, value) in enumerate(backbone.network.state_dict().items()):
        part = "kconv" if key.startswith("kernel_encoder.") else "part"
        theirs = f"{number:03}{part}.{key.rpartition('.')[2]}" if rename else key
        state[f"module.Network.{theirs}"] = value
    return state | {"module.reblurNet.1.weight": torch.rand(2)}


def _same(first: Backbone, second: Backbone) -> bool:
    theirs = second.network.state_dict()
    return all(torch.equal(value, theirs[key]) for key, value in first.network.state_dict().items())


def test_published_layout_with_our_names(tmp_path: Path) -> None:
    source, target = tiny(seed=1), tiny(seed=2)
    torch.save(_published(source, rename=False), tmp_path / "w.pth")
    loaded = load_weights(target, tmp_path / "w.pth")
    assert (loaded.layout, loaded.n_tensors) == ("bare", 158)
    assert "AGPL" in str(loaded.licence)
    assert _same(source, target)


def test_a_match_by_order_warns_that_it_is_unverified(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source, target = tiny(seed=1), tiny(seed=2)
    torch.save(_published(source), tmp_path / "w.pth")
    with caplog.at_level(logging.WARNING):
        assert load_weights(target, tmp_path / "w.pth") == ("foreign", 158, target.licence)
    assert "158 tensors are matched by order and shape, which is not verified" in caplog.text
    assert _same(source, target)


def _moved(state: dict[str, Tensor], first: int, second: int) -> dict[str, Tensor]:
    keys = list(state)
    keys[first], keys[second] = keys[second], keys[first]
    return {key: state[key] for key in keys}


@pytest.mark.parametrize("damage", ["encoders", "order", "kinds", "fewer", "settings", "safetensors"])
def test_mismatches_in_order_are_refused(damage: str, tmp_path: Path) -> None:
    source, target = tiny(seed=1), tiny(seed=2)
    before = {key: value.clone() for key, value in target.network.state_dict().items()}
    state, path = _published(source), tmp_path / "w.pth"
    if damage == "encoders":  # the second encoder first: the shapes are the same
        kernels = {key: value for key, value in state.items() if "kconv" in key}
        state = kernels | {key: value for key, value in state.items() if key not in kernels}
        assert [v.shape for v in kernels.values()] == [v.shape for v in list(state.values())[25:49]]
    elif damage == "order":
        state = _moved(state, 51, 153)
    elif damage == "kinds":
        state = {key.replace("002part.weight", "002part.bias"): value for key, value in state.items()}
    elif damage == "fewer":
        del state["module.Network.157part.bias"]
    elif damage == "settings":
        target = tiny(seed=2, n_filters=2)
        before = {key: value.clone() for key, value in target.network.state_dict().items()}
    if damage == "safetensors":
        path = tmp_path / "w.safetensors"  # keeps no order, even if these names happen to sort correctly
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    with pytest.raises(UserError, match=r"do not fit backbone 'ifan'.*158 missing"):
        load_weights(target, path)
    assert all(torch.equal(value, before[key]) for key, value in target.network.state_dict().items())
