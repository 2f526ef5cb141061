"""Classical deblurring of a single image: estimate a defocus map, then deconvolve with it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from jdrl_lightning.classical.dmenet import DMENet, map_to_radius
from jdrl_lightning.classical.dmenet_weights import load_dmenet
from jdrl_lightning.classical.ebdb import ebdb_map
from jdrl_lightning.classical.jnb import jnb_map
from jdrl_lightning.classical.spatial import MapDeconvolution
from jdrl_lightning.errors import UserError

__all__ = ["DMENetMap", "MapDeblurring", "dmenet", "ebdb", "jnb"]

log = logging.getLogger(__name__)

LICENCE = "the published weights are licensed under AGPL-3.0 (POSTECH)"


class MapDeblurring:
    """Deblurs with an estimated defocus map.

    Args:
        defocus_map: maps ``(B, 3, H, W)`` in [0, 1] to the radius of the circle of confusion ``(B, 1, H, W)``, pixels.
        deconvolution: applied with this map.
    """

    def __init__(self, defocus_map: Callable[[Tensor], Tensor], deconvolution: MapDeconvolution) -> None:
        self.defocus_map, self.deconvolution = defocus_map, deconvolution

    @torch.no_grad()
    def __call__(self, blurry: Tensor) -> Tensor:
        """Restore ``(B, 3, H, W)`` in [0, 1]; same shape, range and device."""
        return self.deconvolution(blurry, self.defocus_map(blurry))


def ebdb(**deconvolution: Any) -> MapDeblurring:
    """:func:`ebdb_map`, then deconvolution; keyword arguments of :class:`MapDeconvolution`."""
    return MapDeblurring(ebdb_map, MapDeconvolution(**deconvolution))


def jnb(**deconvolution: Any) -> MapDeblurring:
    """:func:`jnb_map`, then deconvolution; keyword arguments of :class:`MapDeconvolution`."""
    return MapDeblurring(jnb_map, MapDeconvolution(**deconvolution))


def dmenet(
    weights: str | os.PathLike[str] | None = None, width: int = DMENet.published_width, **deconvolution: Any
) -> MapDeblurring:
    """:class:`DMENetMap`, then deconvolution; further keyword arguments of :class:`MapDeconvolution`."""
    return MapDeblurring(DMENetMap(weights, width), MapDeconvolution(**deconvolution))


class DMENetMap:
    """Defocus map of a trained :class:`DMENet`, as radii in pixels; images of any size.

    Args:
        weights: a local file (see :func:`load_dmenet`), or ``random`` for untrained weights and a meaningless map.
        width: channels of the first level of the network in the file.

    Raises:
        UserError: no weights given, or the file is missing, unreadable or does not fit.
    """

    def __init__(self, weights: str | os.PathLike[str] | None, width: int = DMENet.published_width) -> None:
        if weights is None:
            raise UserError(
                "dmenet needs weights, which are not shipped: train it on pairs with known defocus "
                "(jdrl_lightning.classical.dmenet.defocus_loss) or download the published ones; then set weights=<file>"
            )
        self.network = DMENet(width)
        if weights == "random":
            warnings.warn("dmenet has random weights: its map is meaningless", stacklevel=3)
        else:
            load_dmenet(self.network, Path(weights))
            log.info("weights %s for dmenet; %s", weights, LICENCE)
        self.network.eval().requires_grad_(False)

    def __call__(self, blurry: Tensor) -> Tensor:
        """``(B, 3, H, W)`` in [0, 1] to radii ``(B, 1, H, W)``, pixels, 0 to 14."""
        height, width = blurry.shape[-2:]
        missing = (0, -width % DMENet.divisor, 0, -height % DMENet.divisor)
        network = self.network.to(blurry.device, blurry.dtype)
        estimate = network(F.pad(blurry, missing, mode="replicate"))[0]
        return map_to_radius(estimate[..., :height, :width])
