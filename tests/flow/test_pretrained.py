"""What every estimator with a trained network guarantees about its weights."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.pretrained import LearnedFlow


class Constant(LearnedFlow):
    """One linear layer's bias, everywhere."""

    def __init__(self, weights: str | Path | None, **settings: Any) -> None:
        super().__init__(
            "constant", lambda: nn.Linear(3, 2), weights, source="the file", licence="free to read", **settings
        )

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        bias = self.network_on(first.device)(torch.zeros(3, device=first.device))
        return bias.view(1, 2, 1, 1).expand(len(first), 2, *first.shape[-2:])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(nn.Linear(3, 2).state_dict() | {"bias": torch.tensor([2.0, -1.0])}, tmp_path / "constant.pth")
    return tmp_path / "constant.pth"


def test_weights_are_read_and_their_terms_logged(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        estimator = Constant(str(file))
    assert caplog.messages == [f"weights {file}: 2 tensors for flow=constant; free to read"]
    assert estimator.licence == "free to read"
    image = torch.rand(2, 3, 4, 5)
    assert torch.equal(estimator(image, image), torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(2, 2, 4, 5))


def test_nothing_is_trained_or_saved(file: Path) -> None:
    holder = nn.Module()
    holder.flow = Constant(file)
    assert not holder.state_dict()
    assert not list(holder.parameters())
    network = holder.flow.network_on(torch.device("cpu"))
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    again = pickle.loads(pickle.dumps(holder.flow))  # as a spawned process receives it
    assert torch.equal(again.network_on(torch.device("cpu")).bias, network.bias)


def test_the_network_goes_where_its_input_is(file: Path) -> None:
    estimator = Constant(file)
    image = torch.empty(1, 3, 4, 5, device="meta")  # a device like any other, which every machine has
    assert estimator.estimate(image, image).device.type == "meta"


def test_wrappers_and_foreign_keys(file: Path, tmp_path: Path) -> None:
    state = torch.load(file)
    for number, content in enumerate(
        (
            {"state_dict": state, "epoch": 3},
            {f"module.{key}": value for key, value in state.items()},
            {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        )
    ):
        torch.save(content, tmp_path / f"{number}.pth")
        estimator = Constant(tmp_path / f"{number}.pth")
        assert torch.equal(estimator.network_on(torch.device("cpu")).bias, state["bias"])
    torch.save({"w": state["weight"], "b": state["bias"]}, tmp_path / "foreign.pth")
    estimator = Constant(tmp_path / "foreign.pth", rename=lambda s: {"weight": s["w"], "bias": s["b"]})
    assert torch.equal(estimator.network_on(torch.device("cpu")).weight, state["weight"])


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    torch.save({"weight": torch.rand(2, 4), "extra": torch.rand(1)}, tmp_path / "w.pth")
    with pytest.raises(UserError) as error:
        Constant(tmp_path / "w.pth")
    message = str(error.value)
    assert message.startswith(f"weights {tmp_path / 'w.pth'} do not fit flow=constant: ")
    assert "1 missing: bias;" in message
    assert "1 unexpected: extra;" in message
    assert "1 of another shape: weight (2×4 in the file, 2×3 in the network)" in message
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist"):
        Constant(tmp_path / "nowhere.pth")
    torch.save({"code": print}, tmp_path / "code.pth")
    with pytest.raises(UserError, match=r"code\.pth hold pickled code \(print\)"):
        Constant(tmp_path / "code.pth")


@pytest.mark.parametrize(
    ("name", "settings", "file"),
    [
        ("pwcnet", {}, "network-default.pytorch of sniklaus/pytorch-pwc or pwc_net.pth.tar of NVlabs/PWC-Net"),
        ("raft_small", {}, "raft_small_C_T_V2-01064c6d.pth"),
        ("raft_large", {}, "raft_large_C_T_SKHT_V2-ff5fadd5.pth"),
        ("ptlflow", {"model": "neuflow2"}, "checkpoint of neuflow2"),
    ],
)
def test_none_without_weights(name: str, settings: dict[str, str], file: str) -> None:
    with pytest.raises(UserError) as error:
        flow.create(name, **settings)
    message = str(error.value)
    assert message.startswith(f"flow={name} needs weights")
    assert file in message
    assert "flow.weights=<file>" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["pwcnet", "raft_small"])
def test_random_weights_must_be_asked_for_and_warn(name: str) -> None:
    with pytest.warns(UserWarning, match=f"flow={name} has random weights"):
        assert "code " in flow.create(name, weights="random").licence
