from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torchvision

from jdrl_lightning.errors import UserError
from jdrl_lightning.losses.vgg import FILE, VggFeatures


@pytest.fixture(scope="module")
def trunk() -> torch.nn.Module:
    torch.manual_seed(3)
    return torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10]).eval()


@pytest.fixture(scope="module")
def file(trunk: torch.nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trunk") / FILE
    torch.save({f"features.{key}": value for key, value in trunk.state_dict().items()}, path)
    return path


def test_equals_torchvision(trunk: torch.nn.Module, file: Path) -> None:
    image = torch.rand(2, 3, 24, 20, requires_grad=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = trunk((image - mean[:, None, None]) / std[:, None, None])
    found = VggFeatures(file)(image)
    assert found.shape == (2, 6 * 5, 256)
    torch.testing.assert_close(found.transpose(1, 2), expected.flatten(2), rtol=1e-4, atol=1e-5)
    found.square().sum().backward()
    assert image.grad is not None
    assert image.grad.any()


def test_a_model_average_shares_the_weights(file: Path) -> None:
    features = VggFeatures(file)
    assert deepcopy(features) is features


def test_missing_and_wrong_files_are_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.pth do not exist: download torchvision's VGG19"):
        VggFeatures(tmp_path / "absent.pth")
    other = tmp_path / "other.pth"
    torch.save({"features.0.weight": torch.rand(64, 3, 3, 3)}, other)
    with pytest.raises(UserError, match="are not VGG19 weights"):
        VggFeatures(other)
