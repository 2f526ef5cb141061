from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from spandrel.architectures.NAFNet import NAFNet as SpandrelNAFNet

from jdrl_lightning import backbones
from jdrl_lightning.backbones.nafnet import LayerNorm2d, NAFNet, box_mean
from jdrl_lightning.errors import UserError
from network_checks import assert_autocast_trains, assert_equals, assert_exports, randomise

pytestmark = pytest.mark.filterwarnings("ignore:.*saved_variables.*")  # spandrel's own layer norm
SMALL: dict[str, Any] = {"width": 4, "enc_blk_nums": [1, 2], "middle_blk_num": 1, "dec_blk_nums": [2, 1]}


@pytest.mark.parametrize(
    ("settings", "n_parameters", "n_keys"),
    [
        ({}, 17_111_907, 664),
        ({"width": 64}, 67_888_835, 664),
        ({"enc_blk_nums": [2, 2, 4, 8], "middle_blk_num": 12, "dec_blk_nums": [2, 2, 2, 2]}, 29_159_715, 664),
    ],
)
def test_published_sizes(settings: dict[str, Any], n_parameters: int, n_keys: int) -> None:
    with torch.device("meta"):
        network = backbones.create("nafnet", **settings).network
    assert sum(parameter.numel() for parameter in network.parameters()) == n_parameters
    assert len(network.state_dict()) == n_keys


def test_equals_spandrel() -> None:
    blurry, weight = torch.rand(2, 2, 3, 24, 36, dtype=torch.float64).unbind()
    assert_equals(NAFNet(**SMALL).double(), SpandrelNAFNet(**SMALL).double(), blurry, weight)


def test_official_layout(tmp_path: Path) -> None:
    theirs = SpandrelNAFNet(**SMALL)
    randomise(theirs)
    torch.save({"params": theirs.state_dict()}, tmp_path / "weights.pth")
    backbone = backbones.create("nafnet", **SMALL).eval()
    loaded = backbones.load_weights(backbone, tmp_path / "weights.pth")
    assert loaded == ("params", len(theirs.state_dict()), "published weights: MIT")
    blurry = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(backbone(blurry).images[0], theirs(blurry).clamp(0, 1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("local_pool", [None, 8])
def test_odd_sizes(local_pool: int | None) -> None:
    backbone = backbones.create("nafnet", **SMALL, local_pool=local_pool).eval()
    assert backbone.divisor == 4
    for size in ((33, 47), (1, 1), (5, 70)):
        assert backbone(torch.rand(2, 3, *size)).images[0].shape == (2, 3, *size)


@pytest.mark.parametrize(("window", "size"), [(4, (9, 13)), (5, (9, 13)), (5, (5, 8)), (1, (3, 4)), (9, (4, 6))])
def test_box_mean_equals_brute_force(window: int, size: tuple[int, int]) -> None:
    features = torch.rand(2, 3, *size, dtype=torch.float64)
    inside = [min(window, side) for side in size]
    means = sliding_window_view(features.numpy(), inside, axis=(2, 3)).mean((4, 5))
    # The window of pixel i starts at i - (window - 1) // 2, clipped to the image.
    rows, columns = (
        np.clip(np.arange(side) - (part - 1) // 2, 0, side - part) for side, part in zip(size, inside, strict=True)
    )
    expected = torch.from_numpy(means[:, :, rows][:, :, :, columns])
    torch.testing.assert_close(box_mean(features, window).expand_as(features), expected)


def test_box_mean_of_a_large_image_is_exact() -> None:
    features = torch.full((1, 1, 1000, 1500), 0.1)
    features[..., -400:, -400:] = 0.3
    assert box_mean(features, 384)[..., -1, -1].item() == pytest.approx(0.3, rel=1e-5)
    assert box_mean(features.half(), 384).dtype == torch.float16
    assert box_mean(features.half(), 384)[..., -1, -1].item() == pytest.approx(0.3, rel=1e-3)


def test_local_means_apply_to_large_images_in_eval_mode_only() -> None:
    plain, local = NAFNet(**SMALL).eval(), NAFNet(**SMALL, local_pool=24).eval()
    randomise(plain)
    local.load_state_dict(plain.state_dict())
    small, large = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(local(small), plain(small))
    assert not torch.allclose(local(large), plain(large), atol=1e-4)
    assert torch.equal(local.train()(large), plain.train()(large))
    blocks = (local.encoders[0][0], local.encoders[1][1], local.middle_blks[0], local.decoders[1][0])
    assert [block.sca[0].window for block in blocks] == [24, 12, 6, 24]


def test_layer_norm_equals_torch_and_survives_half_precision() -> None:
    layer = LayerNorm2d(5, eps=1e-6).double()
    torch.nn.init.normal_(layer.weight)
    torch.nn.init.normal_(layer.bias)
    features = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    expected = F.layer_norm(features.movedim(1, -1), (5,), layer.weight, layer.bias, 1e-6).movedim(-1, 1)
    torch.testing.assert_close(layer(features), expected)
    half = layer.float()(1000 * features.half())  # the squares overflow float16
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), expected, rtol=0.01, atol=0.01)


def test_autocast_trains() -> None:
    backbone = backbones.create("nafnet", **SMALL)
    randomise(backbone)
    assert_autocast_trains(backbone)


@pytest.mark.parametrize("local_pool", [None, 8])
def test_export(local_pool: int | None) -> None:
    backbone = backbones.create("nafnet", **SMALL, local_pool=local_pool).eval()
    randomise(backbone)
    assert_exports(backbone)


def test_wrong_settings() -> None:
    with pytest.raises(UserError, match=r"dec_blk_nums=\[1\] needs 2 numbers"):
        backbones.create("nafnet", **SMALL | {"dec_blk_nums": [1]})
    with pytest.raises(UserError, match="local_pool=3"):
        backbones.create("nafnet", **SMALL, local_pool=3)
