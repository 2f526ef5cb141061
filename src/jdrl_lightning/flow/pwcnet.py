"""PWC-Net: pyramid, warping, cost volume. Written from the paper; runs both published sets of weights."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.flow.pretrained import LearnedFlow
from jdrl_lightning.flow.pwcnet_keys import rename
from jdrl_lightning.flow.warp import warp

__all__ = ["PWCNet", "PWCNetFlow", "cost_volume", "warp_features"]

REACH = 4  # of the cost volume, in pixels of its level
FLOW_UNIT = 20.0  # pixels of the input that the network calls 1
COARSEST, FINEST = 6, 2  # level n has 1/2^n of the resolution
DIVISOR = 2**COARSEST
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))  # channels and dilation


class PWCNetFlow(LearnedFlow):
    """PWC-Net with weights from a file: of sniklaus/pytorch-pwc or of NVlabs/PWC-Net.

    Args:
        weights: the file; ``random`` for none.

    Source: Sun et al., CVPR 2018; the JDRL paper's estimator.
    """

    def __init__(self, weights: str | os.PathLike[str] | None = None) -> None:
        super().__init__(
            "pwcnet",
            PWCNet,
            weights,
            source="network-default.pytorch of sniklaus/pytorch-pwc or pwc_net.pth.tar of NVlabs/PWC-Net "
            "(non-commercial)",
            licence="code Apache-2.0; the published weights CC BY-NC-SA 4.0 (NVlabs/PWC-Net): non-commercial",
            rename=rename,
        )

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow at a size that is a multiple of 64, brought back to the images' own."""
        size = first.shape[-2:]
        inner = [-(-side // DIVISOR) * DIVISOR for side in size]
        # BGR, as the network was trained.
        pair = (F.interpolate(image.flip(1), inner, mode="bilinear", align_corners=False) for image in (first, second))
        flow = FLOW_UNIT * self.network_on(first.device)(*pair)
        flow = F.interpolate(flow, size, mode="bilinear", align_corners=False)
        return flow * flow.new_tensor([size[1] / inner[1], size[0] / inner[0]]).view(1, 2, 1, 1)


class PWCNet(nn.Module):
    """Coarse to fine: warp the second image's features by the flow so far, compare, correct. 9,374,274 parameters.

    Levels 6 to 2, each with a densely connected decoder; a dilated context network refines the last.

    Args:
        channels: of the six levels' features.
        dense: of the decoders' layers.

    Source: Sun et al., CVPR 2018 (PWC-DC-Net: DenseNet decoders, context network); shapes after the published weights.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64, 96, 128, 196),
        dense: Sequence[int] = (128, 128, 96, 64, 32),
    ) -> None:
        super().__init__()
        before = (3, *channels)
        self.extractor = nn.ModuleDict({str(n): _three_convs(before[n - 1], before[n]) for n in range(1, COARSEST + 1)})
        self.decoders = nn.ModuleDict()
        coarser = None
        for level in range(COARSEST, FINEST - 1, -1):
            decoder = _Decoder(level, before[level], dense, coarser)
            self.decoders[str(level)], coarser = decoder, decoder.channels
        layers: list[nn.Module] = []
        previous = decoder.channels
        for after, dilation in CONTEXT:
            layers += [_conv(previous, after, dilation=dilation), nn.LeakyReLU(0.1)]
            previous = after
        self.context = nn.Sequential(*layers, _conv(previous, 2))
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Flow from ``first`` to ``second`` at a quarter of their resolution.

        Args:
            first: BGR in [0, 1], ``(B, 3, H, W)``, height and width multiples of 64.
            second: likewise.

        Returns:
            ``(B, 2, H/4, W/4)``, in units of 20 pixels of the input.
        """
        ours, theirs = self._pyramid(first), self._pyramid(second)
        flow, features = self.decoders[str(COARSEST)](ours.pop(), theirs.pop(), None, None)
        for level in range(COARSEST - 1, FINEST - 1, -1):
            flow, features = self.decoders[str(level)](ours.pop(), theirs.pop(), flow, features)
        return flow + self.context(features)

    def _pyramid(self, image: Tensor) -> list[Tensor]:
        features = [image]
        for convs in self.extractor.values():
            features.append(convs(features[-1]))
        return features


class _Decoder(nn.Module):
    """Flow of one level; ``coarser``: channels of the level before, None at the coarsest."""

    def __init__(self, level: int, features: int, dense: Sequence[int], coarser: int | None) -> None:
        super().__init__()
        self.level, self.channels = level, (2 * REACH + 1) ** 2
        if coarser is not None:
            self.up_flow, self.up_features = (nn.ConvTranspose2d(n, 2, 4, 2, 1) for n in (2, coarser))
            self.channels += features + 4
        self.dense = nn.ModuleList()
        for width in dense:
            self.dense.append(_conv(self.channels, width))
            self.channels += width
        self.flow = _conv(self.channels, 2)

    def forward(
        self, first: Tensor, second: Tensor, flow: Tensor | None, features: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """This level's flow and last features, from both images' features and the coarser level's outcome."""
        if flow is None or features is None:
            features = F.leaky_relu(cost_volume(first, second), 0.1)
        else:
            flow, features = self.up_flow(flow), self.up_features(features)
            second = warp_features(second, flow * (FLOW_UNIT / 2**self.level))
            features = torch.cat([F.leaky_relu(cost_volume(first, second), 0.1), first, flow, features], dim=1)
        for conv in self.dense:
            features = torch.cat([F.leaky_relu(conv(features), 0.1), features], dim=1)
        return self.flow(features), features


def cost_volume(first: Tensor, second: Tensor, reach: int = REACH) -> Tensor:
    """How well each pixel of ``first`` fits those of ``second`` around it.

    ``volume[(dy + r)(2r + 1) + dx + r, p] = mean over channels of first[p] · second[p + (dx, dy)]``, 0 outside.

    Args:
        first: ``(B, C, H, W)``.
        second: likewise.
        reach: ``r``, the largest displacement per axis, pixels.

    Returns:
        ``(B, (2r + 1)², H, W)``.
    """
    batch, _, height, width = first.shape
    padded = F.pad(second, (reach,) * 4)
    side = 2 * reach + 1
    volume = first.new_empty(batch, side * side, height, width)
    # One product at a time: the 81 shifted copies of unfold are ten times slower.
    for index in range(side * side):
        row, column = divmod(index, side)
        volume[:, index] = (first * padded[..., row : row + height, column : column + width]).mean(1)
    return volume


def warp_features(features: Tensor, flow: Tensor) -> Tensor:
    """``features[p + flow[p]]``, 0 where that is not wholly within the frame. Flow in pixels of this level."""
    weighted = F.pad(features, (0, 0, 0, 0, 0, 1), value=1.0)  # the last channel becomes the share that lies inside
    warped = warp(weighted, flow, padding="zeros")
    return warped[:, :-1] * (warped[:, -1:] > 0.9999)


def _conv(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation)


def _three_convs(before: int, after: int) -> nn.Sequential:
    convs = (_conv(before, after, stride=2), _conv(after, after), _conv(after, after))
    return nn.Sequential(*(layer for conv in convs for layer in (conv, nn.LeakyReLU(0.1))))
