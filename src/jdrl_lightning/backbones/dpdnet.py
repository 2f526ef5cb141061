"""DPDNet, the U-Net of the dual-pixel paper: for both views, or for a single image."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.io.tensorflow_weights import read_keras

__all__ = ["DPDNet", "dpdnet"]

TAIL_GAIN = 4.0  # the tail's ReLU is zero for pixels darker than sigmoid(-4) = 0.018
TAIL_SPREAD = 0.1  # initial weights of the convolution before that ReLU, relative to He's standard deviation


class DPDNet(UNet):
    """The paper's :class:`UNet` with three differences: a ReLU also after the 2×2 convolutions, the skip connection
    first in concatenations, and a tail of 3×3 convolution to 3 channels, ReLU, 1×1 convolution, sigmoid.

    Args:
        width: channels of the first level, doubled at each of the other four.
        dropout: probability at the two deepest levels.
        in_channels: 3 for a single image; 6 for both views.

    Source: Abuolaim and Brown, ECCV 2020, "Defocus Deblurring Using Dual-Pixel Data".
    """

    relu_after_up = True
    skip_first = True

    def __init__(self, width: int = 64, dropout: float = 0.4, in_channels: int = 3) -> None:
        super().__init__(width, dropout, in_channels=in_channels)

    def reset_parameters(self) -> None:
        """Initialise: He normal (fan in) and zero biases as in the paper, except in the tail.

        The tail's ReLU has only three channels. With He initialisation, a quarter of them are zero in more than 95 % of
        a photograph's pixels (measured at the published width), where they get no gradient; if all three are, the
        output stays constant. So the tail starts as ``sigmoid(4 (relu(1 + e) - 1))`` with a small projection ``e`` of
        the features: mid-grey, with all channels active everywhere and far from the ReLU's zero region at black.
        """
        super().reset_parameters()
        tail = dict(self.out.named_parameters())
        with torch.no_grad():
            tail["0.weight"].mul_(TAIL_SPREAD)
            tail["0.bias"].fill_(1.0)
            nn.init.dirac_(tail["2.weight"]).mul_(TAIL_GAIN)
            tail["2.bias"].fill_(-TAIL_GAIN)

    def _tail(self, channels: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))


def dpdnet(width: int = 64, dropout: float = 0.4, in_channels: int = 3) -> Backbone:
    """DPDNet as a backbone, BGR internally; 31,033,423 parameters at the published width, 31,035,151 for both views.

    Published weights are Keras HDF5 files, of the weights or of the whole model; reading them needs the h5py package.

    Args:
        width: see :class:`DPDNet`.
        dropout: see :class:`DPDNet`.
        in_channels: see :class:`DPDNet`.
    """
    network = DPDNet(width, dropout, in_channels)
    licence = "the published weights are MIT-licensed (Abdullah Abuolaim)"
    return Backbone(
        network,
        divisor=16,
        licence=licence,
        color_order="bgr",
        name="dpdnet",
        read_foreign=partial(read_keras, network=network),
        in_channels=in_channels,
    )
