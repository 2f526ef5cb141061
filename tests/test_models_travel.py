"""A model trained here is saved or pushed, and loaded by a process that has nothing else: equal to the bit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from hub_server import Repos, hub
from jdrl_lightning import UserError, backbones, build, load
from jdrl_lightning.io.image import write_image
from jdrl_lightning.module import DeblurringModule
from processes import forked

ONE_STEP = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "callbacks.best=null", "objective.warmup_epochs=0")


@pytest.fixture
def checkpoint(trained: dict[str, Path], train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "path" not in trained:
        run = train(tmp_path_factory.mktemp("trained") / "run", *ONE_STEP)
        trained["path"] = run / "checkpoints" / "last.ckpt"
    return trained["path"]


@pytest.fixture
def server() -> Iterator[tuple[str, Repos]]:
    with hub() as found:
        yield found


def run(folder: Path, endpoint: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A process whose hub is the server at ``endpoint``."""
    return forked(folder, *arguments, HF_ENDPOINT=endpoint, HF_HOME=str(folder / "cache"), HF_TOKEN="hf_none")


def test_a_trained_module_travels_through_a_folder(checkpoint: Path, tmp_path: Path) -> None:
    module = build.from_checkpoint(checkpoint)
    module.save_pretrained(tmp_path / "mine", model_card_kwargs={"run": checkpoint.parents[1]})
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "README.md", "config.json", "model.safetensors",
    ]  # fmt: skip
    blurry = torch.rand(1, 3, 33, 45)
    torch.save({"blurry": blurry, "restored": module(blurry).detach(), "state": module.state_dict()}, tmp_path / "x.pt")
    script = """
import torch
from jdrl_lightning import DeblurringModule, backbones, load
torch.set_num_threads(1)
known = torch.load("x.pt", weights_only=True)
module = DeblurringModule.from_pretrained("mine")
state = module.state_dict()
assert state.keys() == known["state"].keys() and not module.training
assert all(torch.equal(state[name], tensor) for name, tensor in known["state"].items())
for network in (module.backbone, backbones.Backbone.from_pretrained("mine")):
    with torch.no_grad():
        assert torch.equal(network(known["blurry"]).images[0], known["restored"])
found = load("mine", device="cpu").backbone.state_dict()  # which it lays out otherwise, so that outputs are rounded
assert all(torch.equal(tensor, known["state"]["backbone." + name]) for name, tensor in found.items())
"""
    done = run(tmp_path, "http://127.0.0.1:9", "-c", script)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "mine" / "README.md").read_text() + (tmp_path / "mine" / "config.json").read_text()
    assert str(checkpoint.parents[2]) not in told  # no path of this machine
    assert "1 steps, 1 epochs" in told
    assert "val/deformed_gt/psnr" in told


def test_a_backbone_is_pushed_and_every_command_takes_it(
    server: tuple[str, Repos], photo: torch.Tensor, pairs_folder: Path, tmp_path: Path
) -> None:
    endpoint, repos = server
    script = """
import torch
from jdrl_lightning import backbones
torch.manual_seed(0)
backbone = backbones.create("unet", width=4)
print(backbone.push_to_hub("owner/name", model_card_kwargs={"licence": "cc0-1.0"}))
torch.save(backbone.state_dict(), "state.pt")
"""
    done = run(tmp_path, endpoint, "-c", script)
    assert done.returncode == 0, done.stderr
    assert sorted(repos["owner/name"]) == ["README.md", "config.json", "model.safetensors"]
    assert b"license: cc0-1.0" in repos["owner/name"]["README.md"]
    repos["owner/name"]["evil.bin"] = b"never fetched"

    write_image(tmp_path / "photo.png", photo[:, :40, :50].contiguous())
    script = """
import torch
from jdrl_lightning import load
for name in ("owner/name", "hf:owner/name", "hf:owner/name@main"):
    state = load(name, device="cpu").backbone.state_dict()
    assert all(torch.equal(state[k], v) for k, v in torch.load("state.pt", weights_only=True).items())
"""
    assert (done := run(tmp_path, endpoint, "-c", script)).returncode == 0, done.stderr
    given, data = "ckpt_path=hf:owner/name", ("data=folder", f"data.root={pairs_folder}")
    small = ("tile=32", "overlap=8")
    done = run(tmp_path, endpoint, "-m", "jdrl_lightning.predict", given, "input=photo.png", "output=restored", *small)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "restored" / "photo.png").is_file()
    done = run(tmp_path, endpoint, "-m", "jdrl_lightning.evaluate", given, *data, "output=measured")
    assert done.returncode == 0, done.stderr
    few = ("debug=fast", "trainer.max_epochs=1", "callbacks.best=null", "data.crop=32", "objective=charbonnier")
    shape = ("backbone=unet", "backbone.width=4")
    done = run(tmp_path, endpoint, "-m", "jdrl_lightning.train", given, *shape, *data, *few)
    assert done.returncode == 0, done.stderr
    assert "this one starts from them at step 0" in done.stdout + done.stderr
    assert "from the weights of hf:owner/name" in done.stdout + done.stderr
    assert not list((tmp_path / "cache").rglob("evil.bin"))


def test_what_is_not_there_is_said_in_one_line(server: tuple[str, Repos], tmp_path: Path) -> None:
    endpoint, repos = server
    repos["owner/pickled"] = {"pytorch_model.bin": b"code", "config.json": b"{}"}
    for name, message in (
        ("hf:owner/absent", "hf:owner/absent: cannot be fetched ("),
        ("hf:owner/pickled", "hf:owner/pickled: has no model.safetensors; pickled weights"),
    ):
        done = run(tmp_path, endpoint, "-c", f"import jdrl_lightning; jdrl_lightning.load({name!r}, device='cpu')")
        assert f"jdrl_lightning.errors.UserError: {message}" in done.stderr.splitlines()[-1]
        Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
        done = run(tmp_path, endpoint, "-m", "jdrl_lightning.predict", "input=photo.png", f"ckpt_path={name}")
        *fetching, line = done.stderr.splitlines()  # huggingface_hub's progress, if it got that far
        assert line.startswith(f"error: {message}")
        assert all(not shown or shown.startswith("Fetching ") for shown in fetching)
        assert "HTTP" not in done.stdout
    done = run(tmp_path, "http://127.0.0.1:9", "-c", "import jdrl_lightning; jdrl_lightning.load('owner/name')")
    assert "UserError: hf:owner/name: cannot be fetched (" in done.stderr.splitlines()[-1]


def test_a_module_of_objects_leaves_its_objective_behind(tmp_path: Path) -> None:
    from jdrl_lightning import flow, objectives

    network = backbones.create("unet", width=4)
    objective = objectives.create("jdrl", flow=flow.create("none"), reblur={"width": 4})
    DeblurringModule(network, objective).save_pretrained(tmp_path)
    state = load(tmp_path, device="cpu").backbone.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())
    assert "objective" not in json.loads((tmp_path / "config.json").read_text())
    with pytest.raises(UserError, match="without the settings of its objective"):
        DeblurringModule.from_pretrained(tmp_path)


def test_a_network_that_no_registry_made_does_not_travel(tmp_path: Path) -> None:
    foreign = backbones.Backbone(torch.nn.Conv2d(3, 3, 1), divisor=1, licence="mine", name="mine")
    with pytest.raises(UserError, match=r"mine: made without backbones\.create"):
        foreign.save_pretrained(tmp_path / "mine")
