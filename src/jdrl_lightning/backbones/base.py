"""The wrapper that adapts a deblurring network to images of any size, RGB in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.hub_model import HubModel
from jdrl_lightning.registry import made_from
from jdrl_lightning.runtime.activation_checkpointing import checkpoint_activations
from jdrl_lightning.types import Pair, Restored

__all__ = ["Backbone", "combined", "input_of", "pad_to_multiple"]


class Backbone(nn.Module, HubModel):
    """Wraps a network with its own colour order, value range and image size. It has no parameters of its own.

    Images are clamped to [0, 1] in eval mode, but not in training, where a clamp has no gradient outside the range.
    :class:`HubModel` saves it to a folder or to the hub, and loads it.

    Args:
        network: maps ``(B, in_channels, H, W)`` to a tensor ``(B, 3, H, W)``, a list or tuple of tensors (final output
            first), or :class:`Restored`; every image has the input's size.
        divisor: height and width of the network's input must be multiples of this, pixels.
        licence: licence of the network's published weights, in words.
        color_order: of the network's input and output, ``rgb`` or ``bgr``.
        value_range: the network's values of black and white.
        clamp_eval: False disables clamping in eval mode.
        name: used in messages.
        read_foreign: reads weights published in another format than a PyTorch state dict (a folder, HDF5, npz):
            ``(path) -> {key of network: tensor}``, or None if ``path`` is not in that format.
        block: class of the network's repeated blocks; see :meth:`checkpoint_activations`.
        in_channels: 3, the blurry image; or 6, its dual-pixel views, the left one first.

    Raises:
        UserError: an unknown colour order, or another number of channels.
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
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if color_order not in ("rgb", "bgr"):
            raise UserError(f"backbone.color_order={color_order!r} is neither rgb nor bgr")
        if in_channels not in (3, 6):
            raise UserError(f"backbone.in_channels={in_channels!r} is neither 3 nor 6, both dual-pixel views")
        self.network = network
        self.divisor, self.licence, self.name, self.read_foreign = divisor, licence, name, read_foreign
        self.color_order, self.value_range, self.clamp_eval = color_order, value_range, clamp_eval
        self.block, self.in_channels = block, in_channels

    def forward(self, blurry: Tensor) -> Restored:
        """Restore images.

        Args:
            blurry: ``(B, in_channels, H, W)``, RGB in [0, 1], any size; see :func:`input_of`.

        Returns:
            Images ``(B, 3, H, W)`` of that size, final output first; ``aux`` from the network (padded size).

        Raises:
            ValueError: the network returned an image of another size than its input.
        """
        given = pad_to_multiple(self._to_network(blurry), self.divisor)
        output = self.network(given)
        if isinstance(output, Restored):
            images, aux = output
        else:
            images, aux = (output,) if isinstance(output, Tensor) else tuple(output), {}
        return Restored(tuple(self._from_network(image, given, blurry) for image in images), aux)

    def auxiliary(self) -> nn.Module | None:
        """New heads needed only for training, or None. They belong to the caller (the LightningModule), not to the
        backbone.

        Each training step that does not freeze the backbone calls ``heads(backbone, restored, pair) -> dict[str,
        Tensor]``: ``restored`` is the backbone's output for ``pair.blurry`` in training mode (its ``aux`` has what the
        heads need), ``pair`` is float RGB in [0, 1]. The result is a dict of unweighted scalars, whose sum is added to
        the objective's total.
        """
        return None

    def checkpoint_activations(self) -> bool:
        """Store only the input of each block in training, and recompute the block in the backward pass.

        Same gradients, less memory, but each step runs the blocks' forward pass twice.

        Returns:
            Whether the network has such blocks.
        """
        kind = self.block
        return kind is not None and checkpoint_activations(b for b in self.network.modules() if isinstance(b, kind))

    def _restores(self) -> Backbone:
        return self

    def _to_store(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
        settings = made_from(self)
        if settings is None:
            raise UserError(f"{self.name}: made without backbones.create, so its settings are unknown; register it")
        return {"backbone": settings}, {f"backbone.{name}": tensor for name, tensor in self.state_dict().items()}

    @classmethod
    def _from_stored(cls, content: Mapping[str, Any], file: Path) -> Any:
        from jdrl_lightning.backbones.stored import built_backbone

        return built_backbone(content, file)

    def extra_repr(self) -> str:
        return f"{self.name}, divisor={self.divisor}, {self.color_order}, range={self.value_range}"

    def _to_network(self, image: Tensor) -> Tensor:
        black, white = self.value_range
        image = torch.cat([part.flip(1) for part in image.split(3, 1)], 1) if self.color_order == "bgr" else image
        return image if self.value_range == (0, 1) else image * (white - black) + black

    def _from_network(self, image: Tensor, given: Tensor, blurry: Tensor) -> Tensor:
        if image.shape != (given.shape[0], 3, *given.shape[-2:]):
            raise ValueError(
                f"{self.name} returned {tuple(image.shape)} for {tuple(given.shape)}; the shapes must be equal, with 3 "
                "channels"
            )
        black, white = self.value_range
        image = image[..., : blurry.shape[-2], : blurry.shape[-1]]
        image = image.flip(1) if self.color_order == "bgr" else image
        image = image if self.value_range == (0, 1) else (image - black) / (white - black)
        return image.clamp(0, 1) if self.clamp_eval and not self.training else image


def input_of(pair: Pair, backbone: nn.Module) -> Tensor:
    """What ``backbone`` takes of a batch: the blurry image, or the dual-pixel views ``(B, 6, H, W)``, left one first.

    Raises:
        UserError: it takes the views, and the pairs have none.
    """
    if getattr(backbone, "in_channels", 3) == 3:
        return pair.blurry
    if "left" in pair.extras and "right" in pair.extras:
        return torch.cat([pair.extras["left"], pair.extras["right"]], dim=1)
    raise UserError(
        "backbone.in_channels=6 takes the dual-pixel views, which these pairs have not: set data=dpdd data.views=true, "
        "and an objective that keeps the input, which mimicked does not"
    )


def combined(given: Tensor) -> Tensor:
    """``(B, 3, H, W)`` as it is; of both views ``(B, 6, H, W)`` the mean: a pixel has the light of its two halves."""
    return given if given.shape[1] == 3 else (given[:, :3] + given[:, 3:]) / 2


def pad_to_multiple(image: Tensor, divisor: int) -> Tensor:
    """Pad ``(B, C, H, W)`` on the right and bottom to multiples of ``divisor``, by reflection.

    A side too short for reflection (not longer than the padding) repeats its last row or column instead.
    """
    for axis in (-1, -2):
        size = image.shape[axis]
        missing = -size % divisor
        if missing:
            padding = (0, missing, 0, 0) if axis == -1 else (0, 0, 0, missing)
            image = F.pad(image, padding, mode="reflect" if missing < size else "replicate")
    return image
