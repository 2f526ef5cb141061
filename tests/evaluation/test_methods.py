"""Methods by name, the estimator that judges them, and methods that do not do what they should."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from jdrl_lightning import flow
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation import methods
from jdrl_lightning.evaluation.deformed_gt_flow import chosen_flow, flow_note, identified, trained_with
from jdrl_lightning.evaluation.evaluate_dataset import evaluate, look
from jdrl_lightning.evaluation.method_images import file_stem
from jdrl_lightning.evaluation.methods import Method, chosen, of_blurry
from jdrl_lightning.metrics.protocols import Protocol
from jdrl_lightning.types import Pair

NOTHING: dict[str, Any] = {"method": None, "ckpt_path": None, "restored": None}


def pairs(*names: str, blurry: Tensor | None = None) -> list[Pair]:
    images = torch.arange(3 * 20 * 24, dtype=torch.int32).reshape(3, 20, 24).remainder(251).byte()
    return [Pair(images if blurry is None else blurry, images.flip(0), name, {}) for name in names]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"ckpt_path": "x"}, "checkpoint"),
        ({"backbone": {"name": "unet"}}, "weights"),
        ({"restored": "x"}, "folder"),
        ({"method": "identity"}, "identity"),
        ({"method": "theirs"}, "theirs"),
    ],
)
def test_what_is_given_implies_the_method(given: dict[str, Any], name: str) -> None:
    assert chosen(NOTHING | given) == name


def test_a_method_of_ones_own_is_one_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(methods._registry._targets, "brighter", f"{__name__}:brighter")
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(brighter=brighter))
    method = methods.create("brighter", {"by": 0.1}, torch.device("cpu"))
    found = evaluate(method, pairs("a", "b"), Protocol(), flow.create("none"), None, folder=tmp_path)
    assert [row["name"] for row in found.rows] == ["a", "a", "b", "b"]
    assert found.rows[0]["gt/psnr"] != found.rows[1]["gt/psnr"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def brighter(config: dict[str, Any], device: torch.device) -> Method:
    return Method("brighter", of_blurry(lambda blurry: blurry + config["by"]))


@pytest.mark.parametrize("wrong", [lambda blurry: blurry[..., 1:], lambda blurry: blurry / 0])
def test_a_method_that_gives_no_image(wrong: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(UserError, match=r"a: broken gave no finite image of \(1, 3, 20, 24\)"):
        evaluate(Method("broken", of_blurry(wrong)), pairs("a"), Protocol(), flow.create("none"), None)


def test_the_digest_knows_names_pixels_and_order() -> None:
    images, digest = look(pairs("a", "b"), Protocol(crop="top_left_16"))
    assert [tuple(image) for image in images] == [("a", 16, 16), ("b", 16, 16)]
    assert look(pairs("a", "b"), Protocol())[1] == digest
    changed = pairs("a")[0].blurry.clone()
    changed[0, 0, 0] += 1
    others = (pairs("b", "a"), pairs("a"), pairs("a", "c"), pairs("a", "b", blurry=changed))
    assert len({digest, *(look(other, Protocol())[1] for other in others)}) == 5


@pytest.mark.parametrize("names", [("a", "a"), ("x/a", "x_a")])
def test_images_that_files_could_not_tell_apart(names: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=f"two images are called '{names[1]}'"):
        look(pairs(*names), Protocol())
    with pytest.raises(UserError, match="holds no images"):
        look([], Protocol())


def test_no_name_leaves_the_folder() -> None:
    assert [file_stem(name) for name in ("scene/1", "..\\..\\a", "../a", ".hidden", "Größe 1")] == [
        "scene_1", "_._.._a", "_._a", "_hidden", "Größe 1"
    ]  # fmt: skip


def test_the_judge_is_by_default_not_the_one_that_trained() -> None:
    trainings = [{"objective": {"flow": {"name": name}}} for name in ("gauss_newton", "tvl1", "pwcnet")]
    assert [trained_with(t) for t in (*trainings, {"objective": {}}, None)] == [
        "gauss_newton", "tvl1", "pwcnet", "none", None
    ]  # fmt: skip
    for trained in ("gauss_newton", "tvl1", "pwcnet", "none", None):
        judge = chosen_flow(None, trained)["name"]
        assert judge != trained
        assert flow.create(judge)
        assert "OWN CASE" not in flow_note(judge, trained, "bicubic").upper()
    assert chosen_flow({"name": "pwcnet", "weights": "x"}, "pwcnet") == {"name": "pwcnet", "weights": "x"}
    assert "WHICH THE METHOD WAS TRAINED WITH" in flow_note("pwcnet", "pwcnet", "bicubic")


def test_weights_of_a_judge_are_known_by_their_content(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.pth").write_bytes(b"same")
    first, second = (identified({"name": "pwcnet", "weights": str(tmp_path / f / "net.pth")}) for f in ("a", "b"))
    assert first == second
    (tmp_path / "b" / "net.pth").write_bytes(b"other")
    assert identified({"name": "pwcnet", "weights": str(tmp_path / "b" / "net.pth")}) != first
    assert identified({"name": "raft_small", "iterations": 12}) == {"name": "raft_small", "iterations": 12}
