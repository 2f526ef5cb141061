from __future__ import annotations

from pathlib import Path

import lpips as package
import pytest
import torch
import torchvision

from jdrl_lightning.errors import UserError
from jdrl_lightning.metrics.perceptual import FILE, lpips, lpips_weights


@pytest.fixture(scope="module")
def trunk() -> dict[str, torch.Tensor]:
    """AlexNet of random weights, under torchvision's names; the classifier's are left out, since they are not read."""
    torch.manual_seed(3)
    network = torchvision.models.AlexNet()
    return {key: value for key, value in network.state_dict().items() if key.startswith("features.")}


@pytest.fixture(scope="module")
def file(trunk: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trunk") / FILE
    torch.save(trunk, path)
    return path


def _by_hand(trunk: dict[str, torch.Tensor], restored: torch.Tensor, sharp: torch.Tensor) -> torch.Tensor:
    """The definition: unit-length features of five layers, squared difference, learned channel weights, mean, sum."""
    features = torchvision.models.AlexNet().features.eval()
    features.load_state_dict({key.removeprefix("features."): value for key, value in trunk.items()})
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, y = (((2 * image - 1) - shift[:, None, None]) / scale[:, None, None] for image in (restored, sharp))
    learned = torch.load(Path(package.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu", weights_only=True)
    total = torch.zeros(len(restored))
    layers = iter(range(5))
    for number, layer in enumerate(features[:12]):
        x, y = layer(x), layer(y)
        if number in (1, 4, 7, 9, 11):
            difference = torch.nn.functional.normalize(x, dim=1, eps=0) - torch.nn.functional.normalize(y, dim=1, eps=0)
            weights = learned[f"lin{next(layers)}.model.1.weight"]
            total += (difference.square() * weights.reshape(1, -1, 1, 1)).sum(1).mean((1, 2))
    return total


@torch.no_grad()
def test_equals_the_definition(trunk: dict[str, torch.Tensor], file: Path) -> None:
    restored, sharp = torch.rand(2, 3, 3, 64, 48)
    measured = lpips(restored, sharp, file)
    assert measured.shape == (3,)
    assert (measured > 0).all()
    torch.testing.assert_close(measured, _by_hand(trunk, restored, sharp), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(measured[1:2], lpips(restored[1:2], sharp[1:2], file))


def test_out_of_range_values_are_clamped_and_equal_images_are_at_zero(file: Path) -> None:
    image = torch.rand(1, 3, 40, 40)
    assert lpips(image, image, file).item() == 0
    wild = 3 * image - 1
    torch.testing.assert_close(lpips(wild, image, file), lpips(wild.clamp(0, 1), image, file))


def test_dtype_follows_the_input_and_random_numbers_stay(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pth"  # another path: built again, not taken from the cache
    copy.write_bytes(file.read_bytes())
    image = torch.rand(1, 3, 40, 40, dtype=torch.float64)
    before = torch.get_rng_state()
    assert lpips(image, 1 - image, copy).dtype == torch.float64
    assert torch.equal(torch.get_rng_state(), before)


def test_file_is_found_where_torchvision_puts_it(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    image = torch.rand(1, 3, 40, 40)
    assert lpips_weights() is None
    with pytest.raises(UserError, match=FILE) as error:
        lpips(image, image)
    assert str(tmp_path / "hub" / "checkpoints" / FILE) in str(error.value)

    place = tmp_path / "hub" / "checkpoints" / FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(file.read_bytes())
    assert lpips_weights() == place
    assert lpips_weights(file) == file
    assert lpips(image, 1 - image).item() == lpips(image, 1 - image, file).item()


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    image = torch.rand(1, 3, 40, 40)
    with pytest.raises(UserError, match="do not exist"):
        lpips_weights(tmp_path / "missing.pth")
    for name, content in {"other.pth": {"features.0.weight": torch.rand(1)}, "tensor.pth": torch.rand(2)}.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(UserError, match=f"{name} are not those of AlexNet"):
            lpips(image, image, tmp_path / name)


def test_wrong_images_are_refused(file: Path) -> None:
    with pytest.raises(ValueError, match="must both be"):
        lpips(torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40), file)
    assert lpips(torch.rand(1, 3, 31, 31), torch.rand(1, 3, 31, 31), file) > 0
    with pytest.raises(ValueError, match="at least 31"):
        lpips(torch.rand(1, 3, 30, 31), torch.rand(1, 3, 30, 31), file)
