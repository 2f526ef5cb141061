from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.losses.frequency import frequency_distribution_loss, random_projections


def total(objective: objectives.Objective, images: tuple[Tensor, ...], pair: Pair) -> Tensor:
    return objective(Restored(images, {}), pair, objective.schedule.at(0)).total


def test_without_weights_the_images_are_compared() -> None:
    first, second, sharp = torch.rand(3, 2, 3, 24, 28, generator=torch.Generator().manual_seed(0))
    objective = objectives.create("fdl", projections=9, phase_weight=0.3, output_weights=[1.0, 0.5])
    along = random_projections(3, 9)
    expected = sum(w * frequency_distribution_loss(x, sharp, along, 0.3) for w, x in ((1, first), (0.5, second)))
    torch.testing.assert_close(total(objective, (first, second), Pair(first, sharp, ["a", "b"], {})), expected)


def test_with_weights_all_blocks_are_compared(tmp_path: Path) -> None:
    first, sharp = torch.rand(2, 1, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(2)
    trunk = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"]).eval()
    file = tmp_path / "vgg.pth"
    torch.save({f"features.{key}": value for key, value in trunk.state_dict().items()}, file)
    objective = objectives.create("fdl", weights=str(file), projections=2)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected, ends = torch.zeros(()), (3, 8, 17, 26, 35)  # the last activation of each block
    ours, theirs = ((image - mean[:, None, None]) / std[:, None, None] for image in (first, sharp))
    with torch.no_grad():
        for number, layer in enumerate(trunk[:36]):
            ours, theirs = layer(ours), layer(theirs)
            if number in ends:
                expected = expected + frequency_distribution_loss(ours, theirs, random_projections(ours.shape[1], 2))
        found = total(objective, (first,), Pair(first, sharp, ["a"], {}))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
    assert not list(objective.parameters())
    assert not objective.state_dict()


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"objective\.projections=0 is not a whole number of at least 1"):
        objectives.create("fdl", projections=0)
    with pytest.raises(UserError, match=r"objective\.phase_weight=-1 is negative"):
        objectives.create("fdl", phase_weight=-1)
    with pytest.raises(UserError, match=r"VGG19 weights .* do not exist"):
        objectives.create("fdl", weights=str(tmp_path / "vgg.pth"))
