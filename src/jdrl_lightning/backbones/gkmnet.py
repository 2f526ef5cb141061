"""GKMNet: at three scales, the picture as a sum of fixed Gaussian blurs with predicted weights at each pixel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.backbones.conv_lstm import lstm_step
from jdrl_lightning.backbones.residual_block import ResidualBlock

__all__ = ["GKMNet", "gkmnet", "mixture"]

KERNELS = 21  # Gaussians; with the unblurred image, 22 maps of each of the two images
REACH_PX = 10  # of the kernels: 21 px across
SCALES = (4, 2, 1)  # coarse to fine, image pixels per pixel
SHORTEST_PX = 16  # halved twice at the coarsest scale


class GKMNet(nn.Module):
    """Unrolled fixed-point iteration ``x' = Σ_k W_k ⊙ (g_k * [y, x])``, one step at each of three scales.

    ``y`` is the blurry image at that scale, ``x`` the previous scale's result, enlarged; ``g_k`` are 21 fixed Gaussians
    up to 21 px across and the identity. The maps ``W``, 22 of each image, the same for its three colours, are predicted
    from ``y`` by a U of convolutions (3 → w → 2w → 4w → 2w → w channels) and a convolutional LSTM, whose state goes on
    from scale to scale; all scales share their weights.

    The description that we worked from leaves the rest open, which is therefore ours: the Gaussians' widths (``σ`` from
    1/6 to 21/6 px), two residual blocks at each level of the U and additive skips, the LSTM's width, the head (a linear
    3×3 convolution of its output, since an inverse filter has negative weights), which image the U sees, how
    results and states are enlarged (nearest), and the start, at which the network returns its input. Only the last
    scale is an output.

    Args:
        width: channels at the U's finest level.

    Source: Quan, Wu and Ji, "Gaussian Kernel Mixture Network for Single Image Defocus Deblurring", NeurIPS 2021.
    """

    kernels: Tensor

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.encoder1 = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), *_blocks(width))
        self.encoder2 = nn.Sequential(nn.Conv2d(width, 2 * width, 3, 2, 1), *_blocks(2 * width))
        self.encoder3 = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 3, 2, 1), *_blocks(4 * width))
        self.up2, self.decoder2 = nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), _blocks(2 * width)
        self.up1, self.decoder1 = nn.ConvTranspose2d(2 * width, width, 4, 2, 1), _blocks(width)
        self.memory = _ConvLSTM(width)
        self.head = nn.Conv2d(width, 2 * (KERNELS + 1), 3, padding=1)
        self.register_buffer("kernels", gaussians(), persistent=False)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.bias[0] = 1  # y itself

    def forward(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)``, height and width multiples of 16, to the same shape."""
        restored, state = None, None
        for scale in SCALES:
            image = blurry if scale == 1 else F.avg_pool2d(blurry, scale)
            if restored is None or state is None:
                restored = image
            else:
                restored, *state = (_enlarged(part) for part in (restored, *state))
            state = self.memory(self._features(image), state)
            maps = self.head(state[0]).unflatten(1, (2, KERNELS + 1))
            restored = mixture(torch.stack([image, restored], dim=1), maps, self.kernels)
        assert restored is not None
        return restored

    def _features(self, image: Tensor) -> Tensor:
        fine = self.encoder1(image)
        middle = self.encoder2(fine)
        middle = self.decoder2(self.up2(self.encoder3(middle)) + middle)
        features: Tensor = self.decoder1(self.up1(middle) + fine)
        return features


def mixture(images: Tensor, maps: Tensor, kernels: Tensor) -> Tensor:
    """The sum of images and their blurs, weighted at each pixel.

    Args:
        images: ``(B, N, C, H, W)``.
        maps: ``(B, N, 1 + K, H, W)``, weights of the images as they are, then of each blur.
        kernels: ``(K, L)``, one row of each separable kernel, L odd; borders are replicated.

    Returns:
        ``(B, C, H, W)``.
    """
    count, reach = len(kernels), kernels.shape[1] // 2
    kernels = kernels.to(images.dtype)
    planes = F.pad(images.flatten(0, 2)[:, None], [reach] * 4, mode="replicate")
    columns = F.conv2d(planes, kernels[:, None, :, None])
    blurred = F.conv2d(columns, kernels[:, None, None, :], groups=count).unflatten(0, images.shape[:3])
    return (maps[:, :, :1] * images).sum(1) + (maps[:, :, None, 1:] * blurred).sum((1, 3))


class _ConvLSTM(nn.Module):
    """A convolutional LSTM's cell: features and ``[output, cell]`` to the next ``[output, cell]``, all of one shape."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * width, 4 * width, 3, padding=1)

    def forward(self, features: Tensor, state: list[Tensor] | None) -> list[Tensor]:
        output, cell = state or [torch.zeros_like(features), torch.zeros_like(features)]
        return lstm_step(self.gates(torch.cat([features, output], dim=1)), cell)


def _blocks(width: int) -> nn.Sequential:
    return nn.Sequential(ResidualBlock(width), ResidualBlock(width))


def gaussians() -> Tensor:
    """One row of each Gaussian, ``(21, 21)``; rows sum to one, ``σ`` is 1/6, 2/6, … 21/6 px."""
    place = torch.arange(-REACH_PX, REACH_PX + 1, dtype=torch.float64)
    sigma = torch.arange(1, KERNELS + 1, dtype=torch.float64) / 6
    rows = torch.exp(-0.5 * (place / sigma[:, None]) ** 2)
    return (rows / rows.sum(1, keepdim=True)).float()


def _enlarged(image: Tensor) -> Tensor:
    return F.interpolate(image, scale_factor=2.0, mode="nearest")


def gkmnet(width: int = 32) -> Backbone:
    """GKMNet as a backbone; 1,303,500 parameters at the published width, where the paper has 1.41 million.

    Args:
        width: see :class:`GKMNet`.
    """
    licence = "the published weights come without a licence, and do not fit: what they are of is not described in full"
    return Backbone(GKMNet(width), divisor=SHORTEST_PX, licence=licence, name="gkmnet", block=ResidualBlock)
