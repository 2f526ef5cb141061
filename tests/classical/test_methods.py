from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning import classical
from jdrl_lightning.classical.dmenet import DMENet
from jdrl_lightning.classical.methods import DMENetMap
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.filters import smooth
from jdrl_lightning.metrics import psnr


@pytest.fixture(scope="module")
def dmenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("dmenet") / "small.pth"
    torch.save(DMENet(width=4).state_dict(), file)
    return file


@pytest.mark.parametrize("name", ["ebdb", "jnb", "dmenet"])
def test_every_method_restores_an_image(name: str, photo: Tensor, dmenet_file: Path) -> None:
    assert name in classical.names()
    settings = {"weights": dmenet_file, "width": 4} if name == "dmenet" else {}
    sharp = photo[None, :, 60:130, 200:299].float() / 255
    blurry = blur_by_discs(sharp[0], torch.full((70, 99), 2.0))[None].clamp(0, 1)
    method = classical.create(name, step_px=1.0, **settings)
    restored = method(blurry)
    assert restored.shape == blurry.shape
    assert not restored.requires_grad
    assert 0 <= float(restored.min()) <= float(restored.max()) <= 1
    oracle = classical.create("oracle_map", step_px=1.0)
    torch.testing.assert_close(restored, oracle(blurry, method.defocus_map(blurry)))


@pytest.mark.parametrize(("name", "kernel"), [("ebdb", "gaussian"), ("jnb", "disc")])
def test_an_estimated_map_restores_what_was_blurred_as_it_assumes(name: str, kernel: str, photo: Tensor) -> None:
    sharp = photo[None, :, 40:200, 150:330].float() / 255
    by_disc = blur_by_discs(sharp[0], torch.full((160, 180), 2.0))[None]
    blurry = (by_disc if kernel == "disc" else smooth(sharp, 1.5)).clamp(0, 1)
    assert psnr(classical.create(name, kernel=kernel)(blurry), sharp) > psnr(blurry, sharp) + 0.5


def test_dmenets_map_does_not_depend_on_the_padding(dmenet_file: Path) -> None:
    estimate, image = DMENetMap(dmenet_file, width=4), torch.rand(1, 3, 32, 48)
    whole = estimate(image)
    assert whole.shape == (1, 1, 32, 48)
    assert float(whole.min()) >= 0
    torch.testing.assert_close(whole, 15 * estimate.network(image)[0] - 1)
    assert estimate(image[..., :21, :35]).shape == (1, 1, 21, 35)
    assert not estimate.network.training


def test_dmenet_without_weights_names_the_remedy() -> None:
    with pytest.raises(UserError, match=r"needs weights, which are not shipped: .* then set weights=<file>"):
        classical.create("dmenet")
    with pytest.raises(UserError, match=r"weights nowhere\.pth do not exist"):
        classical.create("dmenet", weights="nowhere.pth", width=4)
    with pytest.warns(UserWarning, match="its map is meaningless"):
        classical.create("dmenet", weights="random", width=2)


@pytest.mark.parametrize("name", ["ebdb", "jnb", "oracle_map"])
def test_unknown_settings(name: str) -> None:
    with pytest.raises(UserError, match=f"classical method '{name}': .*unexpected keyword argument 'wieght'"):
        classical.create(name, wieght=3.0)
    with pytest.raises(UserError, match="blend='x' is not one of soft, hard"):
        classical.create(name, blend="x")
