from __future__ import annotations

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.reblur.kernels import mean_radius
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.operator import reblur
from jdrl_lightning.reblur.pyramid import radius_pyramid, reblur_pyramid

LEVELS = 3
SEEDS = 2 + 3


def drawn(scales: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, height, width, generator=draw, dtype=torch.float64)
    seeds = torch.randn(1, scales * SEEDS, height, width, generator=draw, dtype=torch.float64)
    channels = LEVELS + (scales - 1) * (LEVELS - 1)
    weights = torch.randn(1, channels, height, width, generator=draw, dtype=torch.float64).softmax(1)
    return image, seeds, weights


def test_one_scale_is_the_operator() -> None:
    image, seeds, weights = drawn(1, 9, 11)
    expected = reblur(image, seeds, weights, LEVELS)
    torch.testing.assert_close(reblur_pyramid(image, seeds, weights, LEVELS, 1), expected)


@pytest.mark.parametrize("size", [(16, 16), (13, 19)])
def test_a_constant_image_stays_constant(size: tuple[int, int]) -> None:
    _, seeds, weights = drawn(3, *size)
    image = torch.full((1, 3, *size), 0.4, dtype=torch.float64)
    out = reblur_pyramid(image, seeds, weights, LEVELS, 3, padding="reflect")
    torch.testing.assert_close(out, image)


def test_a_coarse_scale_reaches_further_and_moves_nothing() -> None:
    size = 48
    image = torch.zeros(1, 1, size, size, dtype=torch.float64)
    image[..., size // 2 - 2 : size // 2 + 2, size // 2 - 2 : size // 2 + 2] = 1 / 16
    seeds = torch.zeros(1, 3 * SEEDS, size, size, dtype=torch.float64)
    weights = torch.zeros(1, LEVELS + 2 * (LEVELS - 1), size, size, dtype=torch.float64)
    weights[:, -1] = 1  # the widest level of the coarsest scale
    out = reblur_pyramid(image, seeds, weights, LEVELS, 3)[0, 0]
    place = torch.arange(size, dtype=torch.float64)
    centre = (out.sum(0) * place).sum() / out.sum()
    spread = ((out.sum(0) * (place - centre) ** 2).sum() / out.sum()).sqrt()
    assert float(out.sum()) == pytest.approx(1)
    assert float(centre) == pytest.approx(size / 2 - 0.5)
    assert spread > 4


def test_gradients() -> None:
    image, seeds, weights = (x.requires_grad_() for x in drawn(2, 5, 6))
    assert torch.autograd.gradcheck(lambda i, s, w: reblur_pyramid(i, s, w, LEVELS, 2), (image, seeds, weights))


def test_the_network_predicts_for_all_scales() -> None:
    net = ReblurNet(levels=3, width=4, scales=3)
    seeds, weights = net.seeds_and_weights(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12))
    assert seeds.shape[1] == 3 * SEEDS
    assert weights.shape[1] == 3 + 2 * 2
    torch.testing.assert_close(weights.sum(1), torch.ones(1, 12, 12))
    assert net(torch.rand(1, 3, 12, 12), torch.rand(1, 3, 12, 12)).shape == (1, 3, 12, 12)
    for wrong in ({"scales": 0}, {"scales": 2, "kernel": "free"}, {"scales": 2, "weight_maps": False}):
        with pytest.raises(UserError, match=r"reblur\.scales"):
            ReblurNet(levels=3, width=4, **wrong)  # type: ignore[arg-type]


def test_the_radius_of_a_coarse_scale_counts_twice() -> None:
    _, seeds, weights = drawn(2, 8, 8)
    fine, coarse = weights[:, :LEVELS], weights[:, LEVELS:]
    first, second = seeds.chunk(2, dim=1)
    within = mean_radius(second, torch.cat([1 - coarse.sum(1, keepdim=True), coarse], dim=1), LEVELS)
    expected = mean_radius(first, fine, LEVELS) + 2 * within
    torch.testing.assert_close(radius_pyramid(seeds, weights, LEVELS, 2), expected)
    torch.testing.assert_close(radius_pyramid(first, fine, LEVELS, 1), mean_radius(first, fine, LEVELS))


def test_the_network_says_how_far_it_blurs() -> None:
    restored, blurry = torch.rand(2, 1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    network = ReblurNet(levels=LEVELS, width=4, scales=2, support="disk")
    radius = network.blur_radius(restored, blurry)
    expected = radius_pyramid(*network.seeds_and_weights(restored, blurry), LEVELS, 2, "disk")
    torch.testing.assert_close(radius, expected)
    assert 0 < radius.max() < 2 * (LEVELS - 1)
