"""The objectives that forgive misalignment without a flow: thin around their losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.losses.contextual import contextual_loss, patches
from jdrl_lightning.losses.shift_search import shift_search_loss
from jdrl_lightning.losses.vgg import VggFeatures


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, Pair]:
    generator = torch.Generator().manual_seed(0)
    first, second, sharp = torch.rand(3, 2, 3, 24, 28, generator=generator)
    return first, second, Pair(first, sharp, ["a", "b"], {})


def total(objective: objectives.Objective, images: tuple[torch.Tensor, ...], pair: Pair) -> torch.Tensor:
    return objective(Restored(images, {}), pair, objective.schedule.at(0)).total


def test_shift_search_sums_its_outputs(batch: tuple[torch.Tensor, torch.Tensor, Pair]) -> None:
    first, second, pair = batch
    objective = objectives.create("shift_search", reach_px=3, eps=0.01, output_weights=[1.0, 0.5])
    expected = shift_search_loss(first, pair.sharp, 3, 0.01) + 0.5 * shift_search_loss(second, pair.sharp, 3, 0.01)
    torch.testing.assert_close(total(objective, (first, second), pair), expected)


def test_contextual_compares_patches_without_weights(batch: tuple[torch.Tensor, torch.Tensor, Pair]) -> None:
    first, second, pair = batch
    objective = objectives.create("contextual", bandwidth=0.3, output_weights=[1.0, 0.5])
    expected = sum(w * contextual_loss(patches(x), patches(pair.sharp), 0.3) for w, x in ((1, first), (0.5, second)))
    torch.testing.assert_close(total(objective, (first, second), pair), expected)


def test_contextual_compares_features_with_them(batch: tuple[torch.Tensor, torch.Tensor, Pair], tmp_path: Path) -> None:
    first, _, pair = batch
    trunk = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10])
    file = tmp_path / "vgg.pth"
    torch.save({f"features.{key}": value for key, value in trunk.state_dict().items()}, file)
    objective = objectives.create("contextual", weights=str(file))
    features = VggFeatures(file)
    torch.testing.assert_close(total(objective, (first,), pair), contextual_loss(features(first), features(pair.sharp)))
    assert not list(objective.parameters())
    assert not objective.state_dict()


def test_wrong_settings_are_named(batch: tuple[torch.Tensor, torch.Tensor, Pair], tmp_path: Path) -> None:
    first, _, pair = batch
    for name, settings, told in (
        ("shift_search", {"reach_px": 1.5}, "objective.reach_px=1.5"),
        ("shift_search", {"reach_px": -1}, "objective.reach_px=-1"),
        ("shift_search", {"eps": 0}, "objective.eps=0"),
        ("contextual", {"bandwidth": 0}, "objective.bandwidth=0"),
        ("contextual", {"weights": str(tmp_path / "vgg.pth")}, "VGG19 weights .* do not exist"),
    ):
        with pytest.raises(UserError, match=told):
            objectives.create(name, **settings)
    with pytest.raises(UserError, match=r"needs crops of 25 px; raise data\.crop"):
        total(objectives.create("shift_search", reach_px=12), (first,), pair)
