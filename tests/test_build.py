"""What comes from a disk is untrusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError, build


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


@pytest.mark.parametrize(
    "target",
    ["pathlib.Path.unlink", "urllib.request.urlretrieve", "os.remove", "lightning.pytorch.Trainer", "torch.load"],
)
def test_a_hostile_target_is_refused(target: str, checkpoint: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("here")

    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["optim"]["scheduler"] = {"_target_": target, "_args_": [str(victim)]}

    path = altered(checkpoint, change)
    with pytest.raises(UserError, match="refused") as error:
        build.from_checkpoint(path)
    assert str(path) in str(error.value)
    assert victim.exists()


def test_pickled_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "exploded",))

    path = tmp_path / "bomb.ckpt"
    torch.save({"state_dict": {}, "jdrl_lightning": Bomb()}, path)
    with pytest.raises(UserError, match="pickled code"):
        build.from_checkpoint(path)
    assert not (tmp_path / "exploded").exists()


def test_each_broken_checkpoint_says_what_it_is(checkpoint: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_bytes()
    for name, content, word in (
        ("cut.ckpt", whole[: len(whole) // 2], "damaged"),
        ("empty.ckpt", b"", "damaged"),
        ("text.ckpt", b"hello", "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=word) as error:
            build.from_checkpoint(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    torch.save({"state_dict": {}}, tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of jdrl_lightning"):
        build.from_checkpoint(tmp_path / "foreign.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        build.from_checkpoint(tmp_path / "absent.ckpt")


def test_weights_that_do_not_fit_the_stored_config_are_named(checkpoint: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["jdrl_lightning"]["config"]["backbone"]["width"] = 8

    with pytest.raises(UserError, match="do not fit"):
        build.from_checkpoint(altered(checkpoint, change))


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


def test_an_unknown_device_is_a_users_mistake() -> None:
    assert build.device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UserError, match="device=banana"):
        build.device("banana")
