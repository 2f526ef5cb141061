"""INIKNet: its size, numbers of the authors' code, its scales, and training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from backbones.published_iniknet import BASES, WIDTH, loaded, published, uniform
from jdrl_lightning import backbones
from jdrl_lightning.backbones.iniknet import _doubled, _halved, _quartered
from jdrl_lightning.errors import UserError
from network_checks import assert_autocast_trains, assert_exports, randomise, train

# From the authors' code (MIT, commit 24d930f) in float64 with the weights of `published` and images of `uniform`:
# this width and number of kernels, otherwise its settings; pixels (0, 0) and (17, 40) of the last output of two images.
# Its factor of a kernel's size is float32 even then, which moves them by 2e-9; without that, they agree to all digits.
THEIRS = [
    [[-0.0893195473, 0.2489254859], [0.619786768, -0.1018605623], [0.2488188168, 0.4063033666]],
    [[-0.0625050917, 0.3234505519], [-0.3210276052, -0.1018439108], [0.2886674005, 0.4903987905]],
]


def test_published_size() -> None:
    """1.98 million in the paper; the authors' code has as many as ours."""
    with torch.device("meta"):
        network = backbones.create("iniknet").network
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_976_847


def test_gives_what_the_authors_code_gives(tmp_path: Path) -> None:
    backbone, images = loaded(published(), tmp_path / "w.pth"), uniform((2, 3, 32, 48), 1)
    restored = backbone.network(images)[:, :, [0, 17], [0, 40]]
    torch.testing.assert_close(restored, torch.tensor(THEIRS, dtype=torch.float64), rtol=0, atol=1e-8)


def test_the_network_sees_bgr_as_theirs(tmp_path: Path) -> None:
    backbone, images = loaded(published(), tmp_path / "w.pth"), uniform((2, 3, 32, 48), 1)
    torch.testing.assert_close(backbone.train()(images.flip(1)).images[0].flip(1), backbone.network(images))


def test_scales_are_bilinear() -> None:
    image = torch.rand(2, 3, 16, 24, dtype=torch.float64)
    for resized, factor in ((_halved, 0.5), (_quartered, 0.25), (_doubled, 2.0)):
        torch.testing.assert_close(resized(image), F.interpolate(image, scale_factor=factor, mode="bilinear"))


def test_the_share_that_filters_nothing_has_no_effect() -> None:
    network, blurry = backbones.create("iniknet", width=2, bases=2).network, torch.rand(1, 3, 32, 32)
    before = network(blurry)
    with torch.no_grad():
        network.colours.weight[:, :6] += 1
        assert torch.equal(network(blurry), before)
        network.size_head.bias[0] = 1e4  # all of it: the image and the mixture's bias remain
        torch.testing.assert_close(network(blurry), blurry + network.colours.bias[:, None, None])


def test_learns() -> None:
    torch.manual_seed(0)
    backbone, blurry = backbones.create("iniknet", width=WIDTH, bases=BASES), torch.rand(1, 3, 32, 32)
    losses = train(backbone, blurry, blurry.flip(2), steps=10)
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in backbone.parameters())


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (5, 70)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    assert backbones.create("iniknet", width=2, bases=2)(torch.rand(2, 3, *size)).images[0].shape == (2, 3, *size)


@pytest.mark.parametrize("settings", [{"width": 0}, {"bases": 0}])
def test_bad_settings_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(UserError, match=r"backbone\.width=\d+ and backbone\.bases=\d+ must be 1 or more"):
        backbones.create("iniknet", **settings)


def test_autocast_trains() -> None:
    torch.manual_seed(0)
    assert_autocast_trains(backbones.create("iniknet", width=WIDTH, bases=BASES))


def test_exports() -> None:
    """Of a fixed size; free ones take longer, see docs/export.md."""
    backbone = backbones.create("iniknet", width=2, bases=2).eval()
    randomise(backbone)
    assert_exports(backbone)
