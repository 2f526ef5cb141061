"""The bridge to ptlflow, on a stand-in for the package."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError


class Model(nn.Module):
    """Like ptlflow's: a dictionary in, a dictionary out, BGR."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(2))

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        first, second = inputs["images"].unbind(1)
        blue = first[:, 0] - second[:, 0]
        return {"flows": (self.scale.view(1, 2, 1, 1) * blue[:, None])[:, None]}


def get_model(name: str, ckpt_path: str | None = None) -> Model:
    assert name == "tiny"
    assert ckpt_path is None, "ptlflow downloads what is not a file"
    return Model()


@pytest.fixture(autouse=True)
def package(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = SimpleNamespace(get_model=get_model, get_model_names=lambda: ["tiny", "other"])
    monkeypatch.setitem(sys.modules, "ptlflow", stand_in)


def test_it_runs_the_model_with_the_files_weights(tmp_path: Path) -> None:
    torch.save({"state_dict": {"scale": torch.tensor([2.0, -3.0])}, "epoch": 1}, tmp_path / "tiny.ckpt")
    estimator = flow.create("ptlflow", model="tiny", weights=str(tmp_path / "tiny.ckpt"))
    first, second = torch.rand(2, 3, 5, 6), torch.rand(2, 3, 5, 6)
    difference = first[:, 2:] - second[:, 2:]
    torch.testing.assert_close(estimator(first, second), torch.cat([2 * difference, -3 * difference], 1))
    assert "tiny" in estimator.licence
    assert "non-commercial" in estimator.licence


def test_weights_are_a_file_never_a_name() -> None:
    with pytest.raises(UserError, match="weights things do not exist"):
        flow.create("ptlflow", model="tiny", weights="things")


def test_model_is_needed_and_known() -> None:
    with pytest.raises(UserError, match="model"):
        flow.create("ptlflow", weights="random")
    with pytest.raises(UserError, match=r"flow\.model='huge' is no model of ptlflow: tiny, other"):
        flow.create("ptlflow", model="huge", weights="random")


def test_random_weights_warn() -> None:
    with pytest.warns(UserWarning, match="flow=ptlflow has random weights"):
        assert flow.create("ptlflow", model="tiny", weights="random")


def test_ptlflow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ptlflow", None)
    with pytest.raises(UserError, match=r"pip install 'jdrl_lightning\[ptlflow\]'"):
        flow.create("ptlflow", model="tiny", weights="random")
