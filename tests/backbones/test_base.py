from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning.backbones import Backbone
from jdrl_lightning.backbones.base import pad_to_multiple
from jdrl_lightning.errors import UserError
from jdrl_lightning.types import Restored


class Spy(nn.Module):
    """Returns ``function(image)`` and keeps the image."""

    def __init__(self, function) -> None:  # type: ignore[no-untyped-def]
        super().__init__()
        self.function = function

    def forward(self, image: Tensor):  # type: ignore[no-untyped-def]
        self.seen = image
        return self.function(image)


def _wrap(function, **settings) -> Backbone:  # type: ignore[no-untyped-def]
    return Backbone(Spy(function), **{"divisor": 1, "licence": "none", "name": "spy"} | settings)


@pytest.mark.parametrize("size", [(16, 24), (17, 23), (1, 1), (3, 40), (8, 9), (15, 1)])
def test_any_size_is_returned_unchanged(size: tuple[int, int]) -> None:
    backbone = _wrap(lambda image: image, divisor=8)
    blurry = torch.rand(2, 3, *size)
    assert torch.equal(backbone(blurry).images[0], blurry)
    assert all(side % 8 == 0 for side in backbone.network.seen.shape[-2:])


def test_padding_reflects_if_possible() -> None:
    row = torch.arange(6.0).view(1, 1, 1, 6)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
    assert pad_to_multiple(row[..., :2], 8)[0, 0, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert pad_to_multiple(row[..., :4], 4).shape[-2:] == (4, 4)


def test_colour_order_and_range_of_the_network() -> None:
    blurry = torch.rand(1, 3, 4, 4)
    backbone = _wrap(lambda image: image, color_order="bgr", value_range=(-1.0, 1.0))
    restored = backbone(blurry).images[0]
    torch.testing.assert_close(backbone.network.seen, 2 * blurry[:, [2, 1, 0]] - 1)
    torch.testing.assert_close(restored, blurry)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    redder = _wrap(lambda image: image + 0.5 * red, value_range=(-1.0, 1.0))(blurry).images[0]
    torch.testing.assert_close(redder, blurry + 0.25 * red)


@pytest.mark.parametrize(
    "function",
    [
        lambda image: [image, image / 2],
        lambda image: (image, image / 2),
        lambda image: Restored((image, image / 2), {"filters": image[:, :1]}),
    ],
)
def test_outputs_of_every_form(function) -> None:  # type: ignore[no-untyped-def]
    blurry = torch.rand(1, 3, 5, 6)
    restored = _wrap(function, divisor=4)(blurry)
    assert isinstance(restored, Restored)
    torch.testing.assert_close(restored.images, (blurry, blurry / 2))
    assert set(restored.aux) <= {"filters"}


def test_images_are_clamped_only_in_eval_mode() -> None:
    blurry = torch.rand(1, 3, 4, 4)
    backbone = _wrap(lambda image: 3 * image - 1)
    assert torch.equal(backbone.train()(blurry).images[0], 3 * blurry - 1)
    assert torch.equal(backbone.eval()(blurry).images[0], (3 * blurry - 1).clamp(0, 1))
    assert torch.equal(_wrap(lambda image: 3 * image - 1, clamp_eval=False).eval()(blurry).images[0], 3 * blurry - 1)


def test_the_input_gets_a_gradient_through_the_wrapper() -> None:
    blurry = torch.rand(1, 3, 5, 5, requires_grad=True)
    backbone = _wrap(lambda image: 3 * image - 1, divisor=4, color_order="bgr", value_range=(-0.5, 0.5))
    backbone(blurry).images[0].sum().backward()
    torch.testing.assert_close(blurry.grad, torch.full_like(blurry, 3))


def test_wrong_settings_and_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="'gbr'"):
        _wrap(lambda image: image, color_order="gbr")
    with pytest.raises(ValueError, match=r"spy returned \(1, 3, 2, 2\)"):
        _wrap(lambda image: image[..., ::2, ::2])(torch.rand(1, 3, 4, 4))


def test_no_auxiliary_heads_by_default() -> None:
    backbone = _wrap(lambda image: image, divisor=8, licence="terms")
    assert backbone.auxiliary() is None
    assert (backbone.divisor, backbone.licence) == (8, "terms")
