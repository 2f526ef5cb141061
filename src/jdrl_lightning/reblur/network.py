"""The reblurring network: predicts kernels and where each applies (Eq. 6-9), at the image's or a coarser resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.contrast import DISTANCES, log_contrast
from jdrl_lightning.reblur.enlarging import enlarge
from jdrl_lightning.reblur.free import reblur_free
from jdrl_lightning.reblur.kernels import mean_radius
from jdrl_lightning.reblur.operator import reblur
from jdrl_lightning.runtime.mkldnn_layout import MkldnnNetwork, to_dense, to_mkldnn

__all__ = ["PredictionNet", "ReblurNet", "ResidualBlock"]


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``, 3×3, no norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv2(F.relu(self.conv1(features)))


class PredictionNet(MkldnnNetwork):
    """Convolution, three residual blocks, convolution; no activation around the blocks. KPN and WPN of Fig. 3.

    Args:
        out_channels: kernel seeds (KPN), weight maps (WPN) or both, per pixel.
        width: feature channels.
        in_channels: the restored and the blurry image's.
    """

    def __init__(self, out_channels: int, width: int = 64, in_channels: int = 6) -> None:
        super().__init__()
        self.head = nn.Conv2d(in_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(3)))
        self.tail = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return to_dense(self.tail(self.blocks(self.head(to_mkldnn(images, self)))), self)


class ReblurNet(nn.Module):
    """Blur the restored image back to the blurry one, with kernels that cannot shift it.

    Contains ``kpn`` and, with weight maps, ``wpn``, both trained by the reblurring loss alone; with ``stride > 1``
    (ours) ``trunk`` in their place, which predicts all maps from pixel-unshuffled images and their local contrast, as
    blur varies slowly. The operator enlarges the maps bilinearly; softmaxed weights stay convex.

    Args:
        levels: ``m`` of the paper: kernels of sizes 3, 5, …, ``2 levels - 1``, and the unblurred image.
        width: feature channels of both networks.
        kernel: ``isotropic`` (Eq. 7), or ``free``: every element predicted (Table 4, #5).
        weight_maps: False: the levels are averaged, without ``wpn`` (Table 4, #6).
        support: ``square`` or ``disk``, for isotropic kernels; see :func:`.operator.reblur`.
        padding: what lies beyond the image, ``zeros`` or ``reflect``.
        init: ``he`` (the paper) or ``xavier`` (the published code), normal, with zero bias.
        scales: 1 reaches ``levels − 1`` px; 2 and 3 add the same levels at half and quarter resolution (ours).
        stride: pixels a side for which the maps are predicted once.

    Raises:
        UserError: a setting is none of those above.

    Source: Li et al., AAAI 2023, Fig. 3, Eq. 6-9.
    """

    def __init__(
        self,
        levels: int = 8,
        width: int = 64,
        kernel: str = "isotropic",
        weight_maps: bool = True,
        support: str = "square",
        padding: str = "zeros",
        init: str = "he",
        scales: int = 1,
        stride: int = 1,
    ) -> None:
        super().__init__()
        choices = {
            "kernel": (kernel, ("isotropic", "free")),
            "support": (support, ("square", "disk")),
            "padding": (padding, ("zeros", "reflect")),
            "init": (init, ("he", "xavier")),
        }
        for setting, (value, known) in choices.items():
            check_choice(f"reblur.{setting}", value, known)
        if levels < 2 or width < 1:
            raise UserError(f"reblur.levels={levels} must be at least 2, reblur.width={width} at least 1")
        if scales < 1 or (scales > 1 and (kernel == "free" or not weight_maps)):
            raise UserError(f"reblur.scales={scales} must be at least 1; more need isotropic kernels and weight maps")
        if stride < 1:
            raise UserError(f"reblur.stride={stride} must be at least 1")
        self.levels, self.kernel, self.support, self.padding, self.scales = levels, kernel, support, padding, scales
        self.weight_maps, self.stride = weight_maps, stride
        sizes = [level if kernel == "isotropic" else (2 * level - 1) ** 2 for level in range(2, levels + 1)]
        self.n_seeds, n_weights = scales * sum(sizes), (levels + (scales - 1) * (levels - 1)) * weight_maps
        self.trunk = self.kpn = self.wpn = None
        if stride > 1:
            self.trunk = PredictionNet(self.n_seeds + n_weights, width, 6 * stride**2 + 2 * len(DISTANCES))
        else:
            self.kpn = PredictionNet(self.n_seeds, width)
            self.wpn = PredictionNet(n_weights, width) if weight_maps else None
        _initialise(self, init)

    def forward(self, restored: Tensor, blurry: Tensor) -> Tensor:
        """Reblur ``restored``; it gets gradients both as the image that is blurred and as the networks' input.

        Args:
            restored: the deblurring network's output, ``(B, 3, H, W)``.
            blurry: the photograph to reproduce, ``(B, 3, H, W)``, [0, 1].

        Returns:
            ``(B, 3, H, W)``, not clamped; each pixel is a weighted mean of ``restored`` around it.

        Raises:
            ValueError: the two shapes differ.
        """
        return self.blur(restored, *self.maps(restored, blurry))

    def blur(self, image: Tensor, seeds: Tensor, weights: Tensor) -> Tensor:
        """Blur ``image`` ``(B, 3, H, W)`` with what :meth:`maps` returned."""
        if self.kernel == "free":
            kernels, shares = (enlarge(maps, self.stride, *image.shape[-2:]) for maps in (seeds, weights))
            return reblur_free(image, kernels, shares, self.levels, self.padding)
        settings = (self.levels, self.support, self.padding)
        return reblur(image, seeds, weights, *settings, scales=self.scales, stride=self.stride)

    def seeds_and_weights(self, restored: Tensor, blurry: Tensor) -> tuple[Tensor, Tensor]:
        """The maps at the image's resolution: KPN's raw output and the softmaxed weight maps.

        Returns:
            Kernel seeds and weight maps as in :func:`.operator.reblur`; for free kernels their logits,
            ``(B, Σ_{i=2..levels} (2 i - 1)², H, W)``, as in :func:`.free.reblur_free`.

        Raises:
            ValueError: the two shapes differ.
        """
        kernels, weights = (enlarge(maps, self.stride, *restored.shape[-2:]) for maps in self.maps(restored, blurry))
        return kernels, weights

    def maps(self, restored: Tensor, blurry: Tensor) -> tuple[Tensor, Tensor]:
        """Kernel seeds and softmaxed weight maps, one value for each ``stride × stride`` px.

        Raises:
            ValueError: the two shapes differ.
        """
        if restored.shape != blurry.shape:
            raise ValueError(f"restored {tuple(restored.shape)} and blurry {tuple(blurry.shape)} differ in shape")
        images = torch.cat([restored, blurry], dim=1)
        if self.trunk is not None:
            right, below = (-side % self.stride for side in (images.shape[-1], images.shape[-2]))
            whole = F.pad(images, (0, right, 0, below), mode="replicate")
            # So few layers find contrast slowly by themselves: 1.9 instead of 1.4 px of error after 180 steps.
            contrasts = [log_contrast(half, self.stride) for half in whole.chunk(2, dim=1)]
            features = torch.cat([F.pixel_unshuffle(whole, self.stride), *contrasts], dim=1)
            kernels, logits = self.trunk(features).tensor_split([self.n_seeds], dim=1)
        else:
            assert self.kpn is not None
            kernels, logits = self.kpn(images), None if self.wpn is None else self.wpn(images)
        if self.weight_maps:
            return kernels, logits.softmax(dim=1)
        batch, _, height, width = kernels.shape
        return kernels, kernels.new_full((1, 1, 1, 1), 1 / self.levels).expand(batch, self.levels, height, width)

    def blur_radius(self, restored: Tensor, blurry: Tensor) -> Tensor:
        """Mean blur radius of each pixel, ``(B, 1, H, W)``, px; isotropic kernels only. See :func:`.mean_radius`.

        Raises:
            ValueError: the two shapes differ.
        """
        seeds, weights = self.seeds_and_weights(restored, blurry)
        return mean_radius(seeds, weights, self.levels, self.support, scales=self.scales)


def _initialise(network: nn.Module, init: str) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            if init == "he":
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            else:
                nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)
