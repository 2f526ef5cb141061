"""What every compute kernel of the reblurring operator takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

__all__ = ["ReblurInputs", "ReblurKernel"]


class ReblurInputs(NamedTuple):
    """One call of the operator; the three tensors are on one device.

    Attributes:
        padded: the image with ``levels - 1`` px of surroundings on each side,
            ``(B, C, H + 2 levels - 2, W + 2 levels - 2)``. Its dtype is the one to compute in, float32 or float64.
        seeds: radial logits of all levels, ``(B, Σ_{i=2..levels} i, ⌈H / stride⌉, ⌈W / stride⌉)``, any float dtype.
        weights: softmaxed weight maps, ``(B, levels, ⌈H / stride⌉, ⌈W / stride⌉)``, any float dtype.
        support: ``square`` or ``disk``, see :func:`.operator.reblur`.
        absolute: take ``|seeds|`` first.
        stride: pixels a side for each value of the maps; they are enlarged bilinearly, in the image's dtype.
    """

    padded: Tensor
    seeds: Tensor
    weights: Tensor
    support: str
    absolute: bool
    stride: int = 1

    @property
    def levels(self) -> int:
        return self.weights.shape[1]

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """``(B, C, H, W)``."""
        (batch, channels, height, width), margin = self.padded.shape, 2 * (self.levels - 1)
        return batch, channels, height - margin, width - margin

    def map(self, function: Callable[[Tensor], Tensor]) -> ReblurInputs:
        """The same call with ``function`` applied to each tensor."""
        return self._replace(padded=function(self.padded), seeds=function(self.seeds), weights=function(self.weights))


class ReblurKernel(Protocol):
    """A module that computes the operator: ``cpu_kernel``, ``triton_kernel`` or ``reference``."""

    def forward(self, inputs: ReblurInputs) -> Tensor:
        """The reblurred image, ``(B, C, H, W)``, in the dtype of ``padded``."""

    def backward(self, grad_out: Tensor, inputs: ReblurInputs, need_image: bool, need_maps: bool) -> list[Tensor]:
        """Gradients for that of the output, ``(B, C, H, W)``; each in the shape and dtype of its input.

        Returns:
            The padded image's if ``need_image``, then the seeds' and the weights' if ``need_maps``.
        """
