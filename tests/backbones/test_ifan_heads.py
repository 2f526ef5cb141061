from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.small_ifan import pair_of, tiny
from jdrl_lightning.backbones import Backbone


def test_the_reblurring_loss_by_hand() -> None:
    """With zero filters and a known bias the reblurred image is known."""
    backbone = tiny()
    heads = backbone.auxiliary()
    last = heads.reblur[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    with torch.no_grad():
        last.bias[-3:] = torch.tensor([0.1, -0.2, 0.3])  # the last step's, one per channel: no activation follows
    blurry, sharp = torch.rand(2, 3, 16, 24), torch.rand(2, 3, 16, 24)
    losses = heads(backbone, backbone(blurry), pair_of(blurry, sharp))
    reblurred = F.interpolate(sharp, scale_factor=1 / 8, mode="nearest") + last.bias[-3:].view(1, 3, 1, 1)
    expected = (reblurred - F.interpolate(blurry, scale_factor=1 / 8, mode="area")).square().mean()
    assert losses.keys() == {"filter_reblur"}
    torch.testing.assert_close(losses["filter_reblur"], expected)


def test_the_reblurring_loss_decreases_and_trains_the_filters(photo: Tensor) -> None:
    backbone = tiny()
    heads = backbone.auxiliary()
    sharp = photo[None, :, 100:164, 200:264] / 255
    blurry = F.avg_pool2d(F.pad(sharp, (4,) * 4, mode="reflect"), 9, 1)
    optimizer = torch.optim.Adam(heads.parameters(), lr=1e-3)
    losses = []
    for _ in range(15):
        loss = heads(backbone, backbone(blurry), pair_of(blurry, sharp))["filter_reblur"]
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(parameter.grad.abs().max() > 0 for parameter in heads.parameters())
    for part in (backbone.network.kernel_encoder, backbone.network.filters):
        assert all(parameter.grad.abs().max() > 0 for parameter in part.parameters())
    assert all(parameter.grad is None for parameter in backbone.network.out.parameters())


def test_the_head_has_the_bug_too() -> None:
    torch.manual_seed(0)
    blurry, sharp = torch.rand(2, 1, 3, 16, 16)
    for bug in (False, True):
        backbone = tiny(shared_kernel_bug=bug)
        heads = backbone.auxiliary()
        heads(backbone, backbone(blurry), pair_of(blurry, sharp))["filter_reblur"].backward()
        trained = heads.reblur[-1].weight.grad.abs().amax((1, 2, 3)) > 0  # 9 vertical, 9 horizontal taps per step
        assert trained[:9].all()
        assert trained[9:18].any() != bug


def _with_disparity(pixels: float) -> Backbone:
    backbone = tiny()
    nn.init.zeros_(backbone.network.disparity[-1].weight)
    nn.init.constant_(backbone.network.disparity[-1].bias, pixels)
    return backbone


def _disparity_loss(backbone: Backbone, left: Tensor, right: Tensor) -> float:
    pair = pair_of(left, left, left=left, right=right)
    return backbone.auxiliary()(backbone, backbone(left), pair)["disparity"].item()


def test_disparity_is_horizontal_at_an_eighth_of_the_resolution() -> None:
    torch.manual_seed(1)
    right = torch.rand(1, 3, 64, 64)
    left = right.roll(-8, -1)
    left[..., -8:] = 0  # content from outside the frame is black
    assert _disparity_loss(_with_disparity(0.0), right, right) < 1e-12
    assert _disparity_loss(_with_disparity(1.0), left, right) < 1e-12
    assert _disparity_loss(_with_disparity(0.0), left, right) > 1e-3
    assert _disparity_loss(_with_disparity(1.0), right.roll(-8, -2), right) > 1e-3


def test_the_disparity_loss_needs_both_views_and_trains_the_estimator() -> None:
    backbone = tiny()
    heads, image = backbone.auxiliary(), torch.rand(1, 3, 32, 32)
    restored = backbone(image)
    assert "disparity" not in heads(backbone, restored, pair_of(image, image, left=image))
    both = pair_of(image, image, left=image, right=image.roll(3, -1))
    heads(backbone, restored, both)["disparity"].backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in backbone.network.disparity.parameters())
    assert all(parameter.grad is None for parameter in backbone.network.encoder.parameters())
