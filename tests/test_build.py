"""What comes from a disk is untrusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import DeblurringModule, UserError, backbones, build, flow, objectives
from jdrl_lightning.backbones.base import Backbone
from small import backbone_settings

Load = Callable[[Path], torch.nn.Module]
# Both read what comes from a disk; each test of that is made with both.
both = pytest.mark.parametrize("load", [build.from_checkpoint, build.backbone_from_checkpoint])


@pytest.fixture
def checkpoint(train: Callable[..., Path], tmp_path: Path) -> Path:
    train(tmp_path / "run", "trainer.max_epochs=1", "trainer.limit_train_batches=1", "callbacks.best=null")
    return tmp_path / "run" / "checkpoints" / "last.ckpt"


def altered(checkpoint: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = build.read_checkpoint(checkpoint)
    change(content)
    path = checkpoint.with_name("altered.ckpt")
    torch.save(content, path)
    return path


def test_a_checkpoint_alone_gives_back_the_network(checkpoint: Path) -> None:
    module = build.from_checkpoint(checkpoint)
    blurry = torch.rand(1, 3, 33, 45)
    restored = module(blurry)
    assert restored.shape == blurry.shape
    assert not module.training
    again = build.from_checkpoint(checkpoint)
    torch.testing.assert_close(again(blurry), restored)


def test_the_network_is_had_without_what_trained_it(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, blurry = build.from_checkpoint(checkpoint), torch.rand(1, 3, 33, 45)

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("not needed to restore")

    for part in ("build.objectives.create", "flow.create", "build.instantiate", "module.DeblurringModule"):
        monkeypatch.setattr(f"jdrl_lightning.{part}", refuse)
    backbone = build.backbone_from_checkpoint(checkpoint)
    assert not backbone.training
    assert torch.equal(backbone(blurry).images[0], whole(blurry))
    with pytest.raises(AssertionError):
        build.from_checkpoint(checkpoint)


def test_what_only_training_needs_may_be_missing(checkpoint: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["objective"] = {"name": "of_a_plug_in"}
        content["state_dict"] = {k: v for k, v in content["state_dict"].items() if k.startswith("backbone.")}

    path = altered(checkpoint, change)
    assert build.backbone_from_checkpoint(path)(torch.rand(1, 3, 16, 16)).images[0].shape == (1, 3, 16, 16)
    with pytest.raises(UserError, match="unknown objective 'of_a_plug_in'"):
        build.from_checkpoint(path)


def test_a_network_recognised_by_its_weights_is_found_in_the_checkpoint(
    composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    file = Path(backbone_settings("spandrel", tmp_path)["path"])
    config = composed(tmp_path, "backbone=spandrel", f"backbone.path={file}", "objective=charbonnier")
    module, blurry = build.module(config).eval(), torch.rand(1, 3, 32, 32)
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": module.state_dict(), "jdrl_lightning": {"config": module.config}}, path)
    file.unlink()
    assert torch.equal(build.backbone_from_checkpoint(path)(blurry).images[0], module(blurry))


def test_a_network_is_filled_from_the_file_that_its_settings_name(tmp_path: Path) -> None:
    network = backbones.create("unet", width=4)
    torch.save(network.network.state_dict(), tmp_path / "weights.pth")
    settings = {"name": "unet", "width": 4, "weights": str(tmp_path / "weights.pth")}
    built = build.backbone(settings)
    assert all(torch.equal(value, built.state_dict()[key]) for key, value in network.state_dict().items())
    assert build.backbone(settings | {"weights": None}).state_dict().keys() == built.state_dict().keys()
    with pytest.raises(UserError, match=r"absent\.pth do not exist"):
        build.backbone(settings | {"weights": str(tmp_path / "absent.pth")})


def test_the_files_of_the_training_are_not_needed(checkpoint: Path, train: Callable[..., Path], tmp_path: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["objective"]["flow"] = {"name": "pwcnet", "weights": "elsewhere.pth"}

    module = build.from_checkpoint(altered(checkpoint, change))
    assert module(torch.rand(1, 3, 16, 16)).shape == (1, 3, 16, 16)
    assert module.config["objective"]["flow"] == {"name": "pwcnet", "weights": "elsewhere.pth"}
    with pytest.raises(UserError, match=r"elsewhere\.pth do not exist"):
        module.objective.flow(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))

    settings = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", "callbacks.best=null")
    started = train(tmp_path / "second", f"objective.reblur.weights={checkpoint}", *settings) / "checkpoints/last.ckpt"
    checkpoint.unlink()
    assert build.from_checkpoint(started).config["objective"]["reblur"].get("weights") is None


@both
@pytest.mark.parametrize(
    "target",
    ["pathlib.Path.unlink", "urllib.request.urlretrieve", "os.remove", "lightning.pytorch.Trainer", "torch.load"],
)
def test_a_hostile_target_is_refused(target: str, load: Load, checkpoint: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here")

    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["optim"]["scheduler"] = {"_target_": target, "_args_": [str(victim)]}

    path = altered(checkpoint, change)
    with pytest.raises(UserError, match="refused") as error:
        load(path)
    assert str(path) in str(error.value)
    assert victim.exists()


@both
def test_pickled_code_is_refused_and_does_not_run(load: Load, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.ckpt"
    torch.save({"state_dict": {}, "jdrl_lightning": Bomb()}, path)
    with pytest.raises(UserError, match="pickled code"):
        load(path)
    assert not (tmp_path / "exploded").exists()


@both
def test_each_broken_checkpoint_says_what_it_is(load: Load, checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for name, content, word in (
        ("cut.ckpt", whole[: len(whole) // 2], "damaged"),
        ("empty.ckpt", b"", "damaged"),
        ("text.ckpt", b"hello", "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=word) as error:
            load(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of jdrl_lightning"):
        load(tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        load(tmp_path / "absent.ckpt")


@both
def test_weights_that_do_not_fit_the_stored_config_are_named(load: Load, checkpoint: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["backbone"]["width"] = 8

    path = altered(checkpoint, change)
    with pytest.raises(UserError, match="weights do not fit its config") as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_the_strategy_knows_what_stays_idle(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    small = ["backbone.width=4", "objective.reblur.width=4"]
    official = build.module(composed(tmp_path, "objective=jdrl_official", *small))
    paper = build.module(composed(tmp_path, *small))
    assert build.strategy({"devices": 4}, official) == "ddp_find_unused_parameters_true"
    assert build.strategy({"devices": 4}, paper) == "ddp"
    assert build.strategy({"devices": [0, 1]}, paper) == "ddp"
    assert build.strategy({"devices": 1}, official) == "auto"
    assert build.strategy({"devices": 2, "strategy": "fsdp"}, official) == "fsdp"


@pytest.mark.parametrize(
    ("root", "kept"), [("pairs", str(Path("pairs").absolute())), ("s3://bucket/pairs", "s3://bucket/pairs")]
)
def test_a_checkpoint_says_where_its_pairs_were_from_any_folder(
    root: str, kept: str, composed: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    module = build.module(composed(tmp_path, "data=folder", f"data.root={root}", "objective=charbonnier"))
    assert module.config["data"]["root"] == kept


def test_a_checkpoint_from_python_loads_or_says_what_it_lacks(tmp_path: Path) -> None:
    """Parts that a registry made are known by their settings; others cannot be made again."""
    settings: dict[str, Any] = {"name": "unet", "width": 4}
    pixel_wise = objectives.create("charbonnier")
    network = backbones.create(**settings)
    objective = objectives.create("jdrl", flow=flow.create("none"), reblur={"width": 4})
    foreign = Backbone(torch.nn.Conv2d(3, 3, 1), divisor=1, licence="mine", name="mine")
    for name, module in (
        ("both", DeblurringModule(network, pixel_wise)),
        ("network", DeblurringModule(network, objective)),  # the estimator's settings are not kept
        ("neither", DeblurringModule(foreign, objective)),
    ):
        content: dict[str, Any] = {"state_dict": module.state_dict()}
        module.on_save_checkpoint(content)
        torch.save(content, tmp_path / f"{name}.ckpt")
    blurry = torch.rand(1, 3, 16, 16)
    expected = network.eval()(blurry).images[0]
    assert torch.equal(build.from_checkpoint(tmp_path / "both.ckpt")(blurry), expected)
    for name in ("both", "network"):
        assert torch.equal(build.backbone_from_checkpoint(tmp_path / f"{name}.ckpt")(blurry).images[0], expected)
    with pytest.raises(UserError, match=r"network\.ckpt: trained in Python, without the settings of its objective"):
        build.from_checkpoint(tmp_path / "network.ckpt")
    for load in (build.from_checkpoint, build.backbone_from_checkpoint):
        with pytest.raises(UserError, match="without the settings of its network") as error:
            load(tmp_path / "neither.ckpt")
        assert "\n" not in str(error.value)
    restorer = build.load(tmp_path / "both.ckpt", "cpu", settings)  # the remedy
    assert torch.allclose(restorer.restore(blurry[0]), expected[0], atol=1e-6)


def test_an_unknown_device_is_a_users_mistake() -> None:
    assert build.device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="device=banana"):
        build.device("banana")
