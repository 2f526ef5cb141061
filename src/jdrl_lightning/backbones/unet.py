"""The paper's deblurring network: a plain U-Net."""

from __future__ import annotations

from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone, combined
from jdrl_lightning.errors import UserError
from jdrl_lightning.runtime.mkldnn_layout import MkldnnNetwork, to_dense, to_mkldnn

__all__ = ["UNet", "unet"]


class UNet(MkldnnNetwork):
    """Five levels of two 3×3 convolutions; max-pooling down, nearest upsampling and a 2×2 convolution up.

    No normalisation. Dropout after levels 4 and 5; at level 4 it also applies to the skip connection. No activation
    after the 2×2 convolutions. Parameters are named as in the published weights.

    Args:
        width: channels of the first level, doubled at each of the other four.
        dropout: probability at the two deepest levels.
        global_residual: predict a residual to add to the input, without a sigmoid; the network then starts as the
            identity (see :meth:`reset_parameters`). False: the published network, which ends with a sigmoid.
        init: ``he`` (paper) or ``official`` (published code); see :meth:`reset_parameters`.
        in_channels: 3; 6 for both dual-pixel views, whose mean the residual is added to.

    Source: Li et al., AAAI 2023, "vanilla U-Net"; its details follow the published code's behaviour.
    """

    relu_after_up: ClassVar[bool] = False
    skip_first: ClassVar[bool] = False  # channel order in concatenations

    def __init__(
        self,
        width: int = 64,
        dropout: float = 0.4,
        global_residual: bool = False,
        init: str = "he",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if init not in ("he", "official"):
            raise UserError(f"backbone.init={init!r} is neither he nor official")
        self.global_residual, self.init = global_residual, init
        channels = [width * 2**level for level in range(5)]
        self.encoder = nn.ModuleDict(
            {f"block{i + 1}": _two_convolutions(channels[i - 1] if i else in_channels, channels[i]) for i in range(5)}
        )
        self.dropout = nn.Dropout(dropout)
        self.up6, self.block6 = _Up(channels[4]), _two_convolutions(channels[4], channels[3])
        self.up7, self.block7 = _Up(channels[3]), _two_convolutions(channels[3], channels[2])
        self.up8, self.block8 = _Up(channels[2]), _two_convolutions(channels[2], channels[1])
        self.up9, self.block9 = _Up(channels[1]), _two_convolutions(channels[1], channels[0])
        self.out = self._tail(channels[0])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise.

        ``he``: normal with variance ``2 / fan_in``, biases 0 (He et al. 2015, as in the paper). ``official``: variance
        ``2 / fan_out``, biases uniform in ``±1 / sqrt(fan_in)`` (PyTorch's default, kept by the published code).

        With ``global_residual`` the last convolution starts at 0, so that the output equals the input and the first
        flow is that of the blurry image. It gets a gradient from the first step on, the earlier layers from the second.
        """
        fan: Literal["fan_in", "fan_out"] = "fan_in" if self.init == "he" else "fan_out"
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.reset_parameters()
                nn.init.kaiming_normal_(layer.weight, mode=fan, nonlinearity="relu")
                if self.init == "he" and layer.bias is not None:
                    nn.init.zeros_(layer.bias)
        if self.global_residual:
            for parameter in self.out.parameters():
                nn.init.zeros_(parameter)

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, in_channels, H, W)``, height and width multiples of 16, to ``(B, 3, H, W)``."""
        features = self.encoder["block1"](to_mkldnn(blurry, self))
        skips = []  # released one by one: their memory limits the tile size
        for level in range(2, 6):
            skips.append(features)
            features = self.encoder[f"block{level}"](F.max_pool2d(features, 2, 2))
            if level >= 4:
                features = self._drop(features)
        for up, block in (
            (self.up6, self.block6),
            (self.up7, self.block7),
            (self.up8, self.block8),
            (self.up9, self.block9),
        ):
            features = up(features)
            if self.relu_after_up:
                features = features.relu_()
            # The block's first convolution over the concatenation, as two convolutions: no concatenated copy in memory.
            first, *others = block
            weight, bias = cast(nn.Conv2d, first).weight, cast(nn.Conv2d, first).bias
            half = weight.shape[1] // 2  # slices are folded into an exported graph's constants, chunk() is not
            of_up, of_skip = weight[:, :half], weight[:, half:]
            if self.skip_first:
                of_up, of_skip = of_skip, of_up
            features = F.conv2d(features, of_up, bias, padding=1)
            features += F.conv2d(skips.pop(), of_skip, padding=1)
            for layer in others:
                features = layer(features)
        output = to_dense(self.out(features), self)
        return combined(blurry) + output if self.global_residual else torch.sigmoid(output)

    def _drop(self, features: Tensor) -> Tensor:
        dropped = self.dropout(to_dense(features, self))
        return dropped.to_mkldnn() if self.in_mkldnn_layout and features.is_mkldnn else dropped

    def _tail(self, channels: int) -> nn.Sequential:
        """The layers from the last features to the image, before the sigmoid."""
        return nn.Sequential(nn.Conv2d(channels, 3, 3, padding=1))


class _Up(nn.Sequential):
    """Nearest upsampling by 2 and a 2×2 convolution zero-padded right and below (TensorFlow's "same"), fused.

    The two submodules are never called; they hold the parameters under their published names.

    Along an axis, output 2i is ``(k0 + k1) x[i]`` and 2i + 1 is ``k0 x[i] + k1 x[i+1]``: a transposed convolution of
    stride 2 with the kernel ``k1, k0 + k1, k0``. In two dimensions that takes 9 instead of 16 multiply-adds for each
    pixel of the small grid, and the upsampled features are never stored.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(channels, channels // 2, 2))

    def forward(self, input: Tensor) -> Tensor:
        convolution = cast(nn.Conv2d, self[1])
        weight = convolution.weight.transpose(0, 1)
        rows = torch.stack([weight[:, :, 1], weight[:, :, 0] + weight[:, :, 1], weight[:, :, 0]], dim=2)
        kernel = torch.stack([rows[..., 1], rows[..., 0] + rows[..., 1], rows[..., 0]], dim=3)
        return F.conv_transpose2d(input, kernel, convolution.bias, stride=2, padding=1, output_padding=1)


def _two_convolutions(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.ReLU(inplace=True),
    )


def unet(
    width: int = 64,
    global_residual: bool = False,
    dropout: float = 0.4,
    init: str = "he",
    color_order: str = "bgr",
    in_channels: int = 3,
) -> Backbone:
    """The U-Net as a backbone; 31,033,411 parameters at the published width.

    Args:
        width: see :class:`UNet`.
        global_residual: see :class:`UNet`; published weights are for False.
        dropout: see :class:`UNet`.
        init: see :class:`UNet`.
        color_order: of the wrapped network; published weights are for ``bgr``.
        in_channels: see :class:`UNet`.
    """
    network = UNet(width, dropout, global_residual, init, in_channels)
    licence = "the published weights come without a licence: all rights reserved by the authors of JDRL"
    return Backbone(network, divisor=16, licence=licence, color_order=color_order, name="unet", in_channels=in_channels)
