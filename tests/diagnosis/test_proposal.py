"""The settings proposed are those of docs/results/README.md."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from jdrl_lightning.diagnosis.proposal import proposed, smaller, written

FOLDER = {"name": "folder", "root": "/pairs"}


@pytest.mark.parametrize(
    ("verdict", "objective", "register"),
    [
        ("aligned", "charbonnier", None),
        ("affine", "charbonnier", "affine"),
        ("misaligned", "jdrl_quick", None),
        ("far", "jdrl_quick", "affine"),
    ],
)
def test_the_misalignment_decides_the_objective(verdict: str, objective: str, register: str | None) -> None:
    found = proposed(FOLDER, verdict, 20, 500, gpu=False)
    assert found.choices == {"data": "folder", "backbone": "compact", "objective": objective, "optim": "cosine"}
    assert found.values["data"].get("register") == register
    assert found.values["backbone"] == {"weights": "builtin"}
    assert (found.values["data"]["crop"], found.steps(20)) == (96, 1000)


def test_many_pairs_and_a_gpu_train_a_large_network() -> None:
    assert proposed(FOLDER, "misaligned", 500, 800, gpu=False).choices["backbone"] == "compact"
    found = proposed(FOLDER, "misaligned", 500, 800, gpu=True)
    assert found.choices == {"data": "folder", "backbone": "unet", "objective": "jdrl_robust", "optim": "paper"}
    assert found.values["data"]["crop"] == 256
    assert "backbone" not in found.values


def test_stacks_are_registered_and_photos_rendered_in_place() -> None:
    assert "register" not in proposed({"name": "stack", "root": "x"}, "affine", 9, 500, gpu=False).values["data"]
    photos = proposed({"name": "photos", "root": "x"}, None, 120, 500, gpu=False)
    assert (photos.choices["objective"], photos.values["data"]["misalignment"]) == ("charbonnier", "none")


def test_small_images_and_little_memory() -> None:
    found: Any = proposed(FOLDER, "aligned", 8, 70, gpu=False)
    sizes = []
    while found is not None:
        sizes.append((found.values["data"]["batch_size"], found.values["data"]["crop"]))
        found = smaller(found)
    assert sizes == [(4, 70), (2, 70), (1, 70), (1, 35)]


def test_the_file_is_yaml_with_its_reasons() -> None:
    text = written(proposed(FOLDER, "affine", 8, 70, gpu=False), "mine", ["why"])
    assert text.startswith("# @package _global_\n# why\ndefaults:\n")
    content = yaml.safe_load(text)
    assert content["defaults"] == [
        {"override /data": "folder"}, {"override /backbone": "compact"}, {"override /objective": "charbonnier"},
        {"override /optim": "cosine"},
    ]  # fmt: skip
    assert content["data"]["root"] == "/pairs"
    assert content["name"] == "mine"
