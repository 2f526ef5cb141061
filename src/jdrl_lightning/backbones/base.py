"""The contract between the framework and a deblurring network: any size, RGB in [0, 1], in and out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.runtime.activation_checkpointing import checkpoint_activations
from jdrl_lightning.types import Restored

__all__ = ["Backbone", "pad_to_multiple"]


class Backbone(nn.Module):
    """Wraps a network that wants its own colour order, value range and image size; owns it and nothing else.

    In eval mode the images are clamped to [0, 1]; in training never, because a clamp has no gradient outside.

    Args:
        network: ``(B, 3, H, W)`` in; a tensor, a list or tuple of tensors (final output first), or :class:`Restored`
            out, every image of the input's size.
        divisor: the network needs height and width to be multiples of this, pixels.
        licence: terms of the network's published weights, for people to read.
        color_order: ``rgb`` or ``bgr``, what the network takes and gives.
        value_range: what the network calls black and white.
        clamp_eval: False leaves the images as they are in eval mode too.
        name: what messages call it.
        read_foreign: reads weights published in another format than a PyTorch state dict (a folder, HDF5, npz):
            ``(path) -> {key of network: tensor}``, or None if ``path`` is not in that format.
        block: class of the blocks that a large network consists of; see :meth:`checkpoint_activations`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        divisor: int,
        licence: str,
        color_order: str = "rgb",
        value_range: tuple[float, float] = (0.0, 1.0),
        clamp_eval: bool = True,
        name: str,
        read_foreign: Callable[[Path], dict[str, Tensor] | None] | None = None,
        block: type[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if color_order not in ("rgb", "bgr"):
            raise UserError(f"backbone.color_order={color_order!r} is neither rgb nor bgr")
        self.network = network
        self.divisor, self.licence, self.name, self.read_foreign = divisor, licence, name, read_foreign
        self.color_order, self.value_range, self.clamp_eval = color_order, value_range, clamp_eval
        self.block = block

    def forward(self, blurry: Tensor) -> Restored:
        """Restore images.

        Args:
            blurry: ``(B, 3, H, W)``, RGB in [0, 1], any size.

        Returns:
            Images ``(B, 3, H, W)`` like ``blurry``, final output first; ``aux`` as the network gives it (padded size).

        Raises:
            ValueError: the network returned an image of another size than it was given.
        """
        given = pad_to_multiple(self._to_network(blurry), self.divisor)
        output = self.network(given)
        if isinstance(output, Restored):
            images, aux = output
        else:
            images, aux = (output,) if isinstance(output, Tensor) else tuple(output), {}
        return Restored(tuple(self._from_network(image, given, blurry) for image in images), aux)

    def auxiliary(self) -> nn.Module | None:
        """New heads that only training needs; they belong to whoever trains, not to the backbone. None: there are none.

        They are called ``heads(backbone, restored, pair) -> dict[str, Tensor]`` in each training step that does not
        freeze the backbone: ``restored`` is the backbone's answer to ``pair.blurry`` in training mode (``aux`` holds
        what the heads need), ``pair`` is float RGB in [0, 1]. What comes back are named, unweighted scalars; their sum
        is added to the objective's total, each with weight 1.
        """
        return None

    def checkpoint_activations(self) -> bool:
        """Have training keep the input of each block only, and compute the inside again in the backward pass.

        The gradients are the same, the memory is smaller, and a step computes the blocks forward twice.

        Returns:
            Whether the network is made of such blocks.
        """
        kind = self.block
        return kind is not None and checkpoint_activations(b for b in self.network.modules() if isinstance(b, kind))

    def extra_repr(self) -> str:
        return f"{self.name}, divisor={self.divisor}, {self.color_order}, range={self.value_range}"

    def _to_network(self, image: Tensor) -> Tensor:
        black, white = self.value_range
        image = image.flip(1) if self.color_order == "bgr" else image
        return image if self.value_range == (0, 1) else image * (white - black) + black

    def _from_network(self, image: Tensor, given: Tensor, blurry: Tensor) -> Tensor:
        if image.shape != given.shape:
            raise ValueError(f"{self.name} made {tuple(image.shape)} of {tuple(given.shape)}; the shapes must be equal")
        black, white = self.value_range
        image = image[..., : blurry.shape[-2], : blurry.shape[-1]]
        image = image.flip(1) if self.color_order == "bgr" else image
        image = image if self.value_range == (0, 1) else (image - black) / (white - black)
        return image.clamp(0, 1) if self.clamp_eval and not self.training else image


def pad_to_multiple(image: Tensor, divisor: int) -> Tensor:
    """Extend ``(B, C, H, W)`` to the right and below, up to multiples of ``divisor``, by reflection.

    A side too short to be reflected (no more pixels than are missing) repeats its last row or column instead.
    """
    for axis in (-1, -2):
        size = image.shape[axis]
        missing = -size % divisor
        if missing:
            padding = (0, missing, 0, 0) if axis == -1 else (0, 0, 0, missing)
            image = F.pad(image, padding, mode="reflect" if missing < size else "replicate")
    return image
