"""Weight files: read as plain tensors, unwrapped, and loaded whole or not at all."""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from jdrl_lightning import UserError
from jdrl_lightning.io.weights import described, fill, read_weights, unwrap

STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.tensor([0.5, -0.5])}
FILE = Path("here/w.pth")


class Malicious:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.witness),)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def test_torch_and_safetensors_files_are_read(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "state": STATE}, tmp_path / "w.pth")
    read = read_weights(tmp_path / "w.pth")
    assert read["epoch"] == 3
    assert same(read["state"], STATE)
    save_file(STATE, tmp_path / "w.safetensors")
    assert same(read_weights(tmp_path / "w.safetensors"), STATE)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^weights \S+nowhere\.pth do not exist: check the path$"):
        read_weights(tmp_path / "nowhere.pth")
    for name, kind in (("w.pth", "a PyTorch file"), ("w.safetensors", "safetensors")):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(UserError, match=rf"{re.escape(name)} cannot be read as {kind}: damaged, or not weights$"):
            read_weights(tmp_path / name)


def test_pickled_code_does_not_run(tmp_path: Path) -> None:
    torch.save(STATE | {"more": Malicious(tmp_path / "it_ran")}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth hold pickled code \(posix\.mkdir\), which is not run: load it in a"):
        read_weights(tmp_path / "w.pth")
    assert not (tmp_path / "it_ran").exists()
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert (tmp_path / "it_ran").exists()  # it does run in a file that is trusted


@pytest.mark.parametrize(
    ("content", "layout"),
    [
        (STATE, "bare"),
        ({f"module.{key}": value for key, value in STATE.items()}, "bare"),
        ({"state_dict": STATE, "epoch": 3}, "state_dict"),
        ({"params": {"weight": torch.zeros(1)}, "params_ema": STATE}, "params_ema"),
        ({f"Network.{key}": value for key, value in STATE.items()} | {"Head.weight": torch.zeros(1)}, "bare"),
        (
            {
                "state_dict": {f"backbone.network.{key}": value for key, value in STATE.items()}
                | {"flow.w": STATE["bias"]}
            },
            "lightning",
        ),
    ],
)
def test_layouts(content: dict[str, Any], layout: str) -> None:
    found, state = unwrap(content, FILE)
    assert found == layout
    assert same(state, STATE)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, torch.zeros(3), [torch.zeros(3)], {"state_dict": {}}, None])
def test_content_without_a_state_dict(content: Any) -> None:
    with pytest.raises(
        UserError, match=r"^weights here/w\.pth hold no state dict, neither bare nor under G_state_dict, "
    ):
        unwrap(content, FILE)


def test_another_wrapper_and_prefix_can_be_given() -> None:
    content = {"model": {f"flow.{key}": value for key, value in STATE.items()} | {"other.weight": torch.zeros(1)}}
    layout, state = unwrap(content, FILE, wrappers=("model",), ours="flow.")
    assert layout == "lightning"
    assert same(state, STATE)


def test_a_network_is_filled_whole_or_not_at_all() -> None:
    network = nn.Linear(3, 2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    wrong = {"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}
    with pytest.raises(UserError) as error:
        fill(network, wrong, "w.pth does not fit")
    assert str(error.value) == (
        "w.pth does not fit: 1 missing: bias; 1 unexpected: extra; "
        "1 of another shape: weight (3×2 in the file, 2×3 in the network)"
    )
    assert same(dict(network.state_dict()), before)
    fill(network, STATE, "")
    given = torch.tensor([[1.0, 2.0, 3.0]])
    assert network(given).tolist() == [[8 + 0.5, 26 - 0.5]]


def test_scalars_and_long_lists_in_the_message() -> None:
    network = nn.ParameterDict({f"p{i}": torch.zeros(()) for i in range(11)})
    with pytest.raises(UserError, match=r"^no: 10 missing: .* and 2 more; .*p0 \(2 in the file, scalar in the network"):
        fill(network, {"p0": torch.zeros(2)}, "no")


def test_a_file_is_described_by_size_and_checksum(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    file.write_bytes(b"abc" * 10**6)
    assert described(str(file)) == (str(file), "3,000,000", sha256(b"abc" * 10**6).hexdigest())
    assert described(None) == ("not set", "", "")
    assert described("random") == ("random", "", "")
    assert described(tmp_path) == (str(tmp_path), "", "")
    assert described(tmp_path / "absent") == (f"missing: {tmp_path / 'absent'}", "", "")
