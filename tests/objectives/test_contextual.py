from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.losses.contextual import contextual_loss, patches
from jdrl_lightning.losses.vgg import VggFeatures


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Pair]:
    first, second, sharp = torch.rand(3, 2, 3, 24, 28, generator=torch.Generator().manual_seed(0))
    return first, second, Pair(first, sharp, ["a", "b"], {})


def total(objective: objectives.Objective, images: tuple[Tensor, ...], pair: Pair) -> Tensor:
    return objective(Restored(images, {}), pair, objective.schedule.at(0)).total


def test_without_weights_patches_are_compared(batch: tuple[Tensor, Tensor, Pair]) -> None:
    first, second, pair = batch
    objective = objectives.create("contextual", bandwidth=0.3, output_weights=[1.0, 0.5])
    expected = sum(w * contextual_loss(patches(x), patches(pair.sharp), 0.3) for w, x in ((1, first), (0.5, second)))
    torch.testing.assert_close(total(objective, (first, second), pair), expected)


def test_with_weights_features_are_compared(batch: tuple[Tensor, Tensor, Pair], tmp_path: Path) -> None:
    first, _, pair = batch
    trunk = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10])
    file = tmp_path / "vgg.pth"
    torch.save({f"features.{key}": value for key, value in trunk.state_dict().items()}, file)
    objective = objectives.create("contextual", weights=str(file))
    features = VggFeatures(file)
    torch.testing.assert_close(total(objective, (first,), pair), contextual_loss(features(first), features(pair.sharp)))
    assert not list(objective.parameters())
    assert not objective.state_dict()


@pytest.mark.parametrize("with_vgg", [False, True])
def test_the_bilateral_form_prefers_near_features_and_has_an_anchor(
    with_vgg: bool, batch: tuple[Tensor, Tensor, Pair], tmp_path: Path
) -> None:
    first, _, pair = batch
    trunk = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10])
    torch.save({f"features.{key}": value for key, value in trunk.state_dict().items()}, tmp_path / "vgg.pth")
    weights = str(tmp_path / "vgg.pth") if with_vgg else None
    objective = objectives.create("cobi", weights=weights, spatial_weight=0.2, anchor=0.5)
    features, columns = (VggFeatures(weights), 7) if weights else (patches, 6)
    ours, theirs = features(first), features(pair.sharp)
    places = torch.tensor([(4 * (n // columns), 4 * (n % columns)) for n in range(ours.shape[1])]).float()
    penalty = 0.2 * (places[:, None] - places[None]).norm(dim=2)
    pixel = ((first - pair.sharp).square() + 1e-6).sqrt().mean()
    torch.testing.assert_close(
        total(objective, (first,), pair), contextual_loss(ours, theirs, penalty=penalty) + pixel / 2
    )


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"objective\.bandwidth=0 is not above 0"):
        objectives.create("contextual", bandwidth=0)
    with pytest.raises(UserError, match=r"objective\.spatial_weight=-1 is negative"):
        objectives.create("cobi", spatial_weight=-1)
    with pytest.raises(UserError, match=r"VGG19 weights .* do not exist"):
        objectives.create("contextual", weights=str(tmp_path / "vgg.pth"))
