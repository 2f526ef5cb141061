"""Untrusted files: nothing in them runs, whichever command reads them, and the error names the file."""

from __future__ import annotations

import logging
import pickle
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate

from jdrl_lightning import UserError, backbones, build, doctor, evaluate, flow, predict, train
from jdrl_lightning.callbacks.find_checkpoint import latest_checkpoint
from jdrl_lightning.io.image import write_image
from jdrl_lightning.metrics import lpips

SMALL: dict[str, dict[str, Any]] = {"timm_unet": {"encoder": "mobilenetv3_small_050", "width": 4}}
TARGETS = {
    "a method of another's": {"_target_": "pathlib.Path.unlink", "_args_": ["{victim}"]},
    "a download": {"_target_": "urllib.request.urlretrieve", "url": "{source}", "filename": "{witness}"},
    "by way of our imports": {"_target_": "jdrl_lightning.io.atomic.Path.unlink", "_args_": ["{victim}"]},
    "by way of torch's": {"_target_": "torch.optim.optimizer.torch.load", "f": "{bomb}", "weights_only": False},
    "a function of ours": {"_target_": "jdrl_lightning.io.image.write_image", "_args_": ["{witness}"]},
    "an interpolation": {
        "_target_": "torch.optim.Adam",
        "_partial_": True,
        "betas": "${{oc.create:{{_target_:pathlib.Path.unlink,_args_:['{victim}']}}}}",
    },
}
DANGEROUS = ("a method of another's", "a download", "by way of our imports", "by way of torch's", "an interpolation")


class Place:
    """A folder to attack: ``victim`` must stay, ``witness`` must never appear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.victim, self.witness, self.bomb = folder / "victim", folder / "witness", folder / "bomb.pth"
        self.victim.write_text("here")
        (folder / "source").write_text("anything")
        torch.save({"state_dict": {"weight": torch.rand(2)}, "more": Bomb(self.witness)}, self.bomb)

    @property
    def whole(self) -> bool:
        return self.victim.exists() and not self.witness.exists()

    def filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        places = {"victim": self.victim, "witness": self.witness, "bomb": self.bomb}
        return value.format(source=(self.folder / "source").as_uri(), **places) if isinstance(value, str) else value


class Bomb:
    """Pickled, it creates a file when it is read."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> Any:
        return Path.touch, (self.witness,)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def checkpoint(trained: dict[str, Path], train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A harmless checkpoint, trained once."""
    if "path" not in trained:
        settings = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "callbacks.best=null")
        trained["path"] = train(tmp_path_factory.mktemp("trained") / "run", *settings) / "checkpoints" / "last.ckpt"
    return trained["path"]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """``command(module, *arguments)``: run a command's ``main``; it must fail, and what it printed is returned."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level

    def run(module: Any, *arguments: str) -> str:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as ended:
            module.main()
        assert ended.value.code == 1
        return capsys.readouterr().err

    yield run
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def altered(checkpoint: Path, place: Place, part: str, config: dict[str, Any]) -> Path:
    content = build.read_checkpoint(checkpoint)
    content["jdrl_lightning"]["config"]["optim"][part] = place.filled(config)
    path = place.folder / "hostile.ckpt"
    torch.save(content, path)
    return path


def test_the_weapons_are_sharp(place: Place) -> None:
    """Each of them works when the file is trusted; otherwise the tests below would prove nothing."""
    for name in DANGEROUS:
        place.victim.write_text("here")
        place.witness.unlink(missing_ok=True)
        made = instantiate(place.filled(TARGETS[name]))
        assert made is None or not place.whole, name
        assert not place.whole, name
    place.witness.unlink(missing_ok=True)
    pickle.loads(pickle.dumps(Bomb(place.witness)))
    assert place.witness.exists()


@pytest.mark.parametrize("part", ["optimizer", "scheduler", "elsewhere"])
@pytest.mark.parametrize("name", TARGETS)
def test_no_config_of_a_checkpoint_calls_anything(name: str, part: str, checkpoint: Path, place: Place) -> None:
    path = altered(checkpoint, place, part, TARGETS[name])
    for load in (build.from_checkpoint, build.backbone_from_checkpoint):
        with pytest.raises(UserError, match="refused") as error:
            load(path)
        assert str(error.value).startswith(f"{path}: ")
        assert "\n" not in str(error.value)
        assert place.whole


@pytest.mark.parametrize("hidden", [False, True], ids=["plain", "nested"])
def test_a_target_is_found_wherever_it_hides(hidden: bool, checkpoint: Path, place: Place) -> None:
    evil = TARGETS["a method of another's"]
    inner: Any = {"betas": [0.9, {"deep": [evil]}]} if hidden else {"betas": evil}
    path = altered(checkpoint, place, "optimizer", {"_target_": "torch.optim.Adam", "_partial_": True, **inner})
    with pytest.raises(UserError, match=r"pathlib\.Path\.unlink.*refused"):
        build.from_checkpoint(path)
    assert place.whole


@pytest.mark.parametrize("kind", ["pickle", "target"])
@pytest.mark.parametrize("module", [train, evaluate, predict], ids=lambda module: module.__name__.split(".")[-1])
def test_every_command_refuses_a_hostile_checkpoint(
    module: Any, kind: str, checkpoint: Path, pairs_folder: Path, command: Callable[..., str], place: Place
) -> None:
    write_image(place.folder / "photo.png", torch.zeros(3, 32, 32, dtype=torch.uint8))
    if kind == "target":
        path = altered(checkpoint, place, "scheduler", TARGETS["a method of another's"])
    else:
        path = place.folder / "hostile.ckpt"
        content = build.read_checkpoint(checkpoint)
        torch.save(content | {"more": Bomb(place.witness)}, path)
    arguments = {
        train: [
            "backbone.width=4",
            "objective.reblur.width=4",
            "data=folder",
            f"data.root={pairs_folder}",
            "data.crop=32",
        ],
        evaluate: [],
        predict: ["input=photo.png"],
    }[module]
    printed = command(module, f"ckpt_path={path}", *arguments)
    (line,) = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert str(path) in line
    assert "refused" in line if kind == "target" else "pickled code" in line
    assert place.whole


def test_resuming_skips_a_hostile_checkpoint(checkpoint: Path, place: Place, caplog: Any) -> None:
    run = place.folder / "run"
    (run / "checkpoints").mkdir(parents=True)
    config = build.read_checkpoint(checkpoint)["jdrl_lightning"]["config"]
    path = altered(checkpoint, place, "scheduler", TARGETS["a download"])
    path = path.rename(run / "checkpoints" / "hostile.ckpt")
    place.bomb.rename(run / "checkpoints" / "bomb.ckpt")
    assert latest_checkpoint(run, config["hash"]) is None
    assert "hostile.ckpt" in caplog.text
    assert "bomb.ckpt" in caplog.text
    assert place.whole


@pytest.mark.parametrize("suffix", [".pth", ".pkl", ".ckpt", ".safetensors", ".npz", ".h5"])
@pytest.mark.parametrize("name", ["unet", "dpdnet", "kpac", "dmphn", "ifan", "iniknet", "timm_unet"])
def test_no_backbone_runs_what_its_weights_hold(name: str, suffix: str, place: Place) -> None:
    path = place.bomb.rename(place.bomb.with_suffix(suffix))
    backbone = backbones.create(name, **SMALL.get(name, {"width": 4}))
    for form in ("zip", "pickle"):
        if form == "pickle":
            path.write_bytes(pickle.dumps({"weight": Bomb(place.witness)}, protocol=2))
        with pytest.raises(UserError) as error:
            backbones.load_weights(backbone, path)
        assert path.name in str(error.value)
        assert place.whole


def test_neither_does_a_folder_of_them_nor_an_encoder_nor_a_network_that_is_recognised(place: Place) -> None:
    folder = place.folder / "dmphn"
    folder.mkdir()
    for level in (1, 2, 3):
        for part in ("encoder", "decoder"):
            (folder / f"{part}_lv{level}.pkl").write_bytes(place.bomb.read_bytes())
    with pytest.raises(UserError, match=r"lv\d\.pkl"):
        backbones.load_weights(backbones.create("dmphn", width=4), folder)
    with pytest.raises(UserError, match=r"bomb\.pth hold pickled code"):
        backbones.create("timm_unet", **SMALL["timm_unet"], encoder_weights=str(place.bomb))
    with pytest.raises(UserError, match=r"bomb\.pth hold pickled code"):
        backbones.create("spandrel", path=str(place.bomb))
    assert place.whole


@pytest.mark.parametrize("name", ["pwcnet", "raft_small"])
def test_no_flow_runs_what_its_weights_hold(name: str, place: Place) -> None:
    with pytest.raises(UserError, match=r"bomb\.pth hold pickled code"):
        flow.create(name, weights=str(place.bomb))
    assert place.whole


def test_lpips_does_not(place: Place) -> None:
    image = torch.zeros(1, 3, 32, 32)
    with pytest.raises(UserError, match=r"bomb\.pth hold pickled code"):
        lpips(image, image, weights=place.bomb)
    assert place.whole


def test_the_doctor_names_each_of_them_and_runs_none(command: Callable[..., str], place: Place) -> None:
    settings = ("backbone.weights=bomb.pth", "flow=pwcnet", "flow.weights=bomb.pth", "lpips_weights=bomb.pth")
    (line,) = [line for line in command(doctor, *settings).splitlines() if line.startswith("error: ")]
    for part in ("backbone", "flow", "lpips_weights"):
        assert re.search(rf"{part}: weights \S*bomb\.pth hold pickled code", line)
    assert place.whole


def test_a_plug_ins_name_is_the_only_way_to_others_code(place: Place, checkpoint: Path) -> None:
    content = build.read_checkpoint(checkpoint)
    content["jdrl_lightning"]["config"]["backbone"] = {"name": "pathlib:Path", "width": 4}
    torch.save(content, place.folder / "hostile.ckpt")
    with pytest.raises(UserError, match="unknown backbone 'pathlib:Path'"):
        build.from_checkpoint(place.folder / "hostile.ckpt")
