"""Restored images against every reference that a pair has, as torchmetrics Metrics of ``(restored, pair)``."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.wrappers import MultioutputWrapper

from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics.image_metrics import LPIPS, MAE, PSNR, SSIM, InputTransform, mean_over_images
from jdrl_lightning.metrics.placement import placement_error
from jdrl_lightning.metrics.protocols import Protocol, deformed
from jdrl_lightning.types import Pair

__all__ = ["AlignedQuality", "DeformedGtQuality", "GtQuality", "PlacementError", "Quality", "quality"]


class Quality(InputTransform):
    """PSNR, SSIM, MAE and LPIPS, means over images, against one image of each pair.

    ``update(restored, pair)`` takes ``restored`` ``(B, 3, H, W)``, RGB, clamped to [0, 1] first as it would be on
    writing it to a file, and a float batch of the same size. ``compute()`` returns scalars ``<name>/psnr`` and so on.
    Where a pair's extra ``valid`` is 0, nothing is known: every image counts as right there, before and after.

    Args:
        window: of SSIM, see :func:`.fidelity.ssim`.
        lpips_weights: file of AlexNet's weights; None leaves LPIPS out.

    Attributes:
        name: of the reference.
    """

    name: str

    def __init__(self, window: str = "uniform", lpips_weights: str | os.PathLike[str] | None = None) -> None:
        metrics: list[Metric | MetricCollection] = [PSNR(), SSIM(window), MAE()]
        if lpips_weights is not None:
            metrics.append(LPIPS(lpips_weights))
        super().__init__(MetricCollection(metrics, compute_groups=False))

    def reference(self, restored: Tensor, pair: Pair) -> Tensor:
        """What ``restored``, in [0, 1], is compared with, same shape."""
        raise NotImplementedError

    def transform(self, restored: Tensor, other: Pair) -> tuple[Tensor, Tensor]:
        """``restored`` in [0, 1], without gradient, and its reference."""
        restored = restored.detach().clamp(0, 1)
        return restored, self.reference(restored, other)

    def result(self, value: dict[str, Tensor]) -> dict[str, Tensor]:
        """The figures under the reference's name."""
        return {f"{self.name}/{key.lower()}": figure for key, figure in value.items()}


class GtQuality(Quality):
    """:class:`Quality` against ``gt``: the sharp image as it was taken."""

    name = "gt"

    def reference(self, restored: Tensor, pair: Pair) -> Tensor:
        """The given sharp image."""
        return torch.where(pair.extras["valid"] > 0, pair.sharp, restored) if "valid" in pair.extras else pair.sharp


class DeformedGtQuality(Quality):
    """:class:`Quality` against ``deformed_gt``: the sharp image warped onto the restored one, see :func:`.deformed`.

    Args:
        flow: estimator of the warp; not one that takes the flow from the truth.
        warping: see :func:`.deformed`.
        window, lpips_weights: as of :class:`Quality`.
    """

    name = "deformed_gt"

    def __init__(
        self,
        flow: FlowEstimator,
        warping: str = "bicubic",
        window: str = "uniform",
        lpips_weights: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__(window, lpips_weights)
        self.flow, self.warping = flow, warping

    def reference(self, restored: Tensor, pair: Pair) -> Tensor:
        """The sharp image warped onto ``restored``."""
        return deformed(pair.sharp, restored, self.flow, self.warping, pair.extras.get("valid"))


class AlignedQuality(Quality):
    """:class:`Quality` against ``aligned``: the sharp image truly in place, which only rendered pairs carry."""

    name = "aligned"

    def reference(self, restored: Tensor, pair: Pair) -> Tensor:
        """The truth."""
        return pair.extras["aligned"]


class PlacementError(InputTransform):
    """Means over images of :func:`.placement_error`, pixels: ``placement/{rms,p95,dx,dy}``.

    Taken against ``aligned`` where the pair carries it, else against the blurry image, whose place is right by
    definition. An image is in place with itself, which is not measured: that takes longest. Arguments as of
    :class:`Quality`.
    """

    higher_is_better = False
    FIGURES = ("rms", "p95", "dx", "dy")

    def __init__(self) -> None:
        super().__init__(MultioutputWrapper(mean_over_images(), len(self.FIGURES), remove_nans=False))

    def transform(self, restored: Tensor, other: Pair) -> tuple[Tensor]:
        """The figures, ``(B, 4)``."""
        restored = restored.detach().clamp(0, 1)
        reference = other.extras.get("aligned", other.blurry)
        if torch.equal(restored, reference):
            return (restored.new_zeros(len(restored), len(self.FIGURES)),)
        placement = placement_error(restored, reference)
        return (torch.stack([placement.rms, placement.p95, *placement.mean.unbind(1)], dim=1),)

    def result(self, value: Any) -> dict[str, Tensor]:
        """The figures by name."""
        return {f"placement/{name}": figure for name, figure in zip(self.FIGURES, value, strict=True)}


def quality(
    pair: Pair,
    protocol: Protocol,
    flow: FlowEstimator | None = None,
    lpips_weights: str | os.PathLike[str] | None = None,
) -> MetricCollection:
    """Every Metric that pairs like ``pair`` allow, on its device.

    Args:
        pair: a batch of the data set; all of them carry the same extras.
        protocol: SSIM's window and the warp; the crop comes before restoring, and rounding before measuring.
        flow: for ``deformed_gt``; None, or one that only knows the truth, leaves it out.
        lpips_weights: file of AlexNet's weights; None leaves LPIPS out.
    """
    metrics: list[Metric | MetricCollection] = [GtQuality(protocol.ssim, lpips_weights)]
    if flow is not None and not flow.uses_truth:
        metrics.append(DeformedGtQuality(flow, protocol.warp, protocol.ssim, lpips_weights))
    if "aligned" in pair.extras:
        metrics.append(AlignedQuality(protocol.ssim, lpips_weights))
    return MetricCollection([*metrics, PlacementError()]).to(pair.blurry.device)
