"""The folder of a model that travels: what is in it, and what is refused when it is read."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from jdrl_lightning import UserError, backbones, load
from jdrl_lightning.io.pretrained import read_pretrained, write_pretrained
from small import backbone_settings

SETTINGS: dict[str, Any] = {"name": "unet", "width": 4}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    backbones.create(**SETTINGS).save_pretrained(tmp_path / "mine")
    return tmp_path / "mine"


@pytest.mark.parametrize("name", backbones.names())
def test_every_network_comes_back(name: str, tmp_path: Path) -> None:
    network = backbones.create(name, **backbone_settings(name, tmp_path)).eval()
    network.save_pretrained(tmp_path / "saved")
    again = backbones.Backbone.from_pretrained(tmp_path / "saved")
    blurry = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(blurry).images[0], network(blurry).images[0])
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()


def test_tensors_are_those_of_safetensors_own_reader(tmp_path: Path) -> None:
    """Whatever the layout in memory, views included."""
    whole = torch.rand(4, 6)
    write_pretrained(tmp_path, {"backbone": SETTINGS}, {"backbone.a": whole.T, "backbone.b": whole[1]})
    found = load_file(tmp_path / "model.safetensors")
    assert torch.equal(found["backbone.a"], whole.T)
    assert torch.equal(found["backbone.b"], whole[1])


def test_files_named_in_settings_do_not_travel(tmp_path: Path) -> None:
    parts = {"backbone": {**SETTINGS, "weights": "/home/a"}, "objective": {"name": "jdrl", "flow": {"weights": "/b"}}}
    write_pretrained(tmp_path, {**parts, "data": {"root": "/c"}}, {"backbone.a": torch.rand(1)})
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["backbone"]["weights"] is None
    assert stored["objective"]["flow"] == {"weights": None}
    assert "data" not in stored
    stored["backbone"]["weights"] = "/etc/passwd"
    (tmp_path / "config.json").write_text(json.dumps(stored))
    assert read_pretrained(tmp_path / "model.safetensors")["jdrl_lightning"]["config"]["backbone"]["weights"] is None


def config(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        file = folder / "config.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return apply


def weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors")

    return apply


def pickled(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (folder / "witness",)

    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))


TAMPERED: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
        "model.safetensors cannot be read as safetensors",
    ),
    "pickle": (pickled, "model.safetensors cannot be read as safetensors"),
    "shape": (weights(lambda state: state.update({next(iter(state)): torch.rand(7)})), "1 of another shape: "),
    "missing": (weights(lambda state: state.pop(next(iter(state)))), "1 missing: "),
    "unknown": (weights(lambda state: state.update({"backbone.network.x": torch.rand(1)})), "1 unexpected: network.x"),
    "foreign": (weights(lambda state: state.update(evil=torch.rand(1))), "holds what config.json does not describe"),
    "objective": (
        weights(lambda state: state.update({"objective.x": torch.rand(1)})),
        "holds what config.json does not describe: objective.x",
    ),
    "target": (
        config(lambda content: content["backbone"].update(width={"_target_": "os.system"})),
        "config.json: names something to call ('os.system'), which is refused",
    ),
    "deep target": (
        config(lambda content: content.update(more=[{"deep": {"_target_": "os.system"}}])),
        "config.json: names something to call ('os.system'), which is refused",
    ),
    "name": (config(lambda content: content["backbone"].update(name="os.system")), "unknown backbone 'os.system'"),
    "no name": (config(lambda content: content["backbone"].pop("name")), "config.json: its backbone has no name"),
    "no backbone": (config(lambda content: content.pop("backbone")), "config.json: describes no backbone"),
    "setting": (config(lambda content: content["backbone"].update(wide=4)), "unexpected keyword argument 'wide'"),
    "value": (config(lambda content: content["backbone"].update(width="x")), "cannot be built with these settings"),
    "not ours": (config(lambda content: content.pop("jdrl_lightning")), "config.json: not a model that save_pretrain"),
    "no json": (lambda folder: (folder / "config.json").write_text("{"), "config.json: cannot be read as JSON"),
    "nested": (lambda folder: (folder / "config.json").write_text("[" * 10**5), "config.json: cannot be read as JSON"),
    "binary": (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), "config.json: cannot be read as"),
    "list": (lambda folder: (folder / "config.json").write_text("[1]"), "config.json: not a model that save_pretrain"),
    "large": (lambda folder: (folder / "config.json").write_text(" " * 2**21), "config.json: cannot be read as JSON"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "not a checkpoint of jdrl_lightning"),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_a_tampered_model_is_refused_in_one_line(kind: str, folder: Path) -> None:
    change, message = TAMPERED[kind]
    change(folder)
    with pytest.raises(UserError) as error:
        load(folder, device="cpu")
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(UserError):
        backbones.Backbone.from_pretrained(folder)
    assert not (folder / "witness").exists()
