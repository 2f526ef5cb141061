"""MPRNet's blocks against spandrel's, with the same random weights; splits and resampling against torch's."""

from __future__ import annotations

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from spandrel_extra_arches.architectures.MPRNet.__arch import MPRNet as spandrel
from torch import Tensor, nn

from jdrl_lightning.backbones import mprnet_blocks
from jdrl_lightning.backbones.mprnet_blocks import (
    AttentionBlock,
    Decoder,
    Encoder,
    FullResolution,
    Group,
    SupervisedAttention,
    conv,
    join,
    join_levels,
    split,
)
from network_checks import randomise

WIDTHS = (8, 12, 16)


def features(*channels: int, size: int = 16) -> list[Tensor]:
    """One map for each of ``channels``, each at half the resolution of the one before."""
    draw = torch.Generator().manual_seed(0)
    shapes = [(1, width, size >> level, size >> level) for level, width in enumerate(channels)]
    return [torch.randn(shape, dtype=torch.float64, generator=draw) for shape in shapes]


@pytest.fixture
def block() -> partial[AttentionBlock]:
    return partial(AttentionBlock, activation=nn.PReLU(), kernel_size=3, reduction=4)


def alike(ours: nn.Module, theirs: nn.Module) -> tuple[nn.Module, nn.Module]:
    """Both in double precision with the same random weights."""
    randomise(theirs.double())
    ours.double().load_state_dict(theirs.state_dict())
    return ours, theirs


def test_attention_block(block: partial[AttentionBlock]) -> None:
    ours, theirs = alike(block(8), spandrel.CAB(8, 3, 4, bias=False, act=nn.PReLU()))
    (image,) = features(8)
    torch.testing.assert_close(ours(image), theirs(image))


def test_supervised_attention() -> None:
    ours, theirs = alike(SupervisedAttention(8), spandrel.SAM(8, kernel_size=1, bias=False))
    image, blurry = features(8)[0], features(3)[0]
    torch.testing.assert_close(ours(image, blurry), tuple(theirs(image, blurry)))


@pytest.mark.parametrize("feedback", [False, True])
def test_encoder_and_decoder(feedback: bool, block: partial[AttentionBlock]) -> None:
    settings = (8, 3, 4, nn.PReLU(), False, 4)
    ours, theirs = alike(Encoder(WIDTHS, block, feedback), spandrel.Encoder(*settings, csff=feedback))
    image, before = features(8)[0], (features(*WIDTHS), features(*WIDTHS))
    encoded = ours(image, *(tuple(levels) for levels in before if feedback))
    torch.testing.assert_close(encoded, tuple(theirs(image, *(before if feedback else ()))))
    assert [tuple(level.shape[1:]) for level in encoded] == [(8, 16, 16), (12, 8, 8), (16, 4, 4)]
    ours, theirs = alike(Decoder(WIDTHS, block), spandrel.Decoder(*settings))
    torch.testing.assert_close(ours(encoded), tuple(theirs(list(encoded))))


def test_full_resolution(block: partial[AttentionBlock]) -> None:
    groups = [Group(block(12), conv(12, 12, 3)) for _ in range(3)]
    theirs = spandrel.ORSNet(8, 4, 3, 4, nn.PReLU(), False, 4, 1)
    ours, theirs = alike(FullResolution(WIDTHS, 12, groups), theirs)
    image, encoded, decoded = features(12)[0], features(*WIDTHS), [-2 * level for level in features(*WIDTHS)]
    torch.testing.assert_close(ours(image, encoded, decoded), theirs(image, encoded, decoded))


def test_resampling_is_bilinear() -> None:
    """Spandrel's order: resampled first, then the 1×1 convolution."""
    (image,) = features(8)
    down, up = mprnet_blocks._Down(8, 12).double(), mprnet_blocks._Up(8, 12).double()
    for layer, factor, sequence in ((down, 0.5, down.down), (up, 2.0, up.up)):
        resampled = F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
        torch.testing.assert_close(layer(image), sequence[1](resampled))


@pytest.mark.parametrize("axis", [2, 3])
def test_halves_are_stacked_in_the_batch_and_joined_again(axis: int) -> None:
    images = torch.rand(2, 3, 8, 10)
    first, second = images.tensor_split(2, axis)
    halves = split(images, axis)
    assert torch.equal(halves, torch.cat([first, second]))
    assert torch.equal(join(halves, axis), images)
    levels = (images, images[..., ::2, ::2], images[:1].expand(4, -1, -1, -1))
    for joined, level in zip(join_levels(levels, axis), levels, strict=True):
        assert torch.equal(joined, join(level, axis))
