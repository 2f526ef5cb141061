from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights
from jdrl_lightning.errors import UserError


def _unet(seed: int, **settings: Any) -> Backbone:
    torch.manual_seed(seed)
    return backbones.create("unet", **{"width": 4} | settings).eval()


@pytest.fixture
def source() -> Backbone:
    return _unet(seed=1)


@pytest.fixture
def target() -> Backbone:
    return _unet(seed=2)


def _same_output(first: Backbone, second: Backbone) -> bool:
    blurry = torch.rand(1, 3, 20, 33)
    return torch.equal(first(blurry).images[0], second(blurry).images[0])


def _layouts(source: Backbone) -> dict[str, Any]:
    state = source.network.state_dict()
    parallel = {f"module.{key}": value for key, value in state.items()}
    optimiser = torch.optim.Adam(source.parameters()).state_dict()
    lightning = {f"backbone.network.{key}": value for key, value in state.items()}
    return {
        "G_state_dict": {
            "epoch": 99,
            "global_step": 7,
            "G_opt": optimiser,
            "G_state_dict": parallel,
            "Reblur_state_dict": {"module.kernels.0.weight": torch.rand(2, 2)},
        },
        "state_dict": {"epoch": 3, "state_dict": parallel, "optimizer": optimiser},
        "params_ema": {"params": {key: value + 1 for key, value in state.items()}, "params_ema": state},
        "params": {"params": state},
        "bare": parallel,
        "lightning": {"state_dict": lightning | {"objective.reblur.weight": torch.rand(3)}, "epoch": 1},
    }


@pytest.mark.parametrize("layout", ["G_state_dict", "state_dict", "params_ema", "params", "bare", "lightning"])
def test_every_layout(layout: str, source: Backbone, target: Backbone, tmp_path: Path) -> None:
    torch.save(_layouts(source)[layout], tmp_path / "weights.pth")
    assert not _same_output(source, target)
    loaded = load_weights(target, tmp_path / "weights.pth")
    assert _same_output(source, target)
    assert (loaded.layout, loaded.n_tensors) == (layout, 46)
    assert loaded.licence == (None if layout == "lightning" else target.licence)


@pytest.mark.parametrize("wrapper", [None, "model", "model_state_dict", "state_dict"])
@pytest.mark.parametrize("prefix", ["network.", "model.", "net_g.", "backbone.", "net_g.module.", "model.network."])
def test_the_prefixes_of_other_frameworks(
    wrapper: str | None, prefix: str, source: Backbone, target: Backbone, tmp_path: Path
) -> None:
    """A discriminator beside the network is left out."""
    state = {f"{prefix}{key}": value for key, value in source.network.state_dict().items()}
    state["net_d.weight"] = torch.rand(3)
    torch.save({wrapper: state, "step": 3} if wrapper else state, tmp_path / "weights.pth")
    load_weights(target, tmp_path / "weights.pth")
    assert _same_output(source, target)


def test_state_dict_of_a_backbone_and_safetensors(source: Backbone, target: Backbone, tmp_path: Path) -> None:
    torch.save(source.state_dict(), tmp_path / "weights.pt")
    load_weights(target, tmp_path / "weights.pt")
    assert _same_output(source, target)
    other = _unet(seed=3)
    save_file(source.network.state_dict(), tmp_path / "weights.safetensors")
    assert load_weights(other, str(tmp_path / "weights.safetensors")).layout == "bare"
    assert _same_output(source, other)


class _Malicious:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle2", "pickle4"])
def test_pickled_code_does_not_run(form: str, source: Backbone, target: Backbone, tmp_path: Path) -> None:
    path, witness = tmp_path / "bad.pth", tmp_path / "it_ran"
    content = {"G_state_dict": source.network.state_dict(), "extra": _Malicious(f"touch {witness}")}
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(content["extra"], protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    before = target.network.out[0].weight.clone()
    with pytest.raises(UserError, match=r"bad\.pth") as error:
        load_weights(target, path)
    assert not witness.exists()
    assert torch.equal(target.network.out[0].weight, before)
    if form != "pickle4":
        assert "pickled code (posix.system)" in str(error.value)
    pickle.loads(pickle.dumps(content["extra"]))
    assert witness.exists()  # the pickle does run when it is trusted


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not weights\n" * 9, b"PK\x03\x04" + bytes(99), b"\x80\x02}q\x00."])
def test_damaged_files(content: bytes, name: str, target: Backbone, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        load_weights(target, tmp_path / name)


def test_truncated_files(source: Backbone, target: Backbone, tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save(source.state_dict(), tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
        whole = (tmp_path / "whole.pth").read_bytes()
        for fraction in (0.01, 0.5, 0.99):
            (tmp_path / "cut.pth").write_bytes(whole[: int(fraction * len(whole))])
            with pytest.raises(UserError, match=r"cut\.pth cannot be read"):
                load_weights(target, tmp_path / "cut.pth")


def test_missing_file_and_no_state_dict(target: Backbone, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist"):
        load_weights(target, tmp_path / "nowhere.pth")
    for content in ({"epoch": 3}, torch.rand(3), {}, {"state_dict": {}}, [torch.rand(2)]):
        torch.save(content, tmp_path / "odd.pth")
        with pytest.raises(UserError, match=r"odd\.pth hold no state dict"):
            load_weights(target, tmp_path / "odd.pth")


def test_all_mismatches_are_named(source: Backbone, target: Backbone, tmp_path: Path) -> None:
    state = source.network.state_dict()
    del state["out.0.bias"]
    state["extra.weight"] = torch.rand(1)
    state["up6.1.weight"] = torch.rand(1, 2, 2, 2)
    torch.save({"G_state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / "w.pth")
    before = target.network.out[0].weight.clone()
    with pytest.raises(UserError) as error:
        load_weights(target, tmp_path / "w.pth")
    message = str(error.value)
    assert "1 missing: out.0.bias;" in message
    assert "1 unexpected: extra.weight;" in message
    assert "1 of another shape: up6.1.weight (1×2×2×2 in the file, 32×64×2×2 in the network)" in message
    assert "\n" not in message
    assert torch.equal(target.network.out[0].weight, before)


def test_long_lists_are_counted(source: Backbone, tmp_path: Path) -> None:
    torch.save(source.network.state_dict(), tmp_path / "w.pth")
    wider = _unet(seed=0, width=8)
    with pytest.raises(UserError, match=r"45 of another shape: .* and 37 more") as error:
        load_weights(wider, tmp_path / "w.pth")
    assert str(error.value).count(" in the network)") == 8
