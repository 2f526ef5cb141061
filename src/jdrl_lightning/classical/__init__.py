"""Deblurring as it was done before end-to-end networks: a map of the defocus, then deconvolution; by name.

``create("ebdb")(blurry)`` restores ``(B, 3, H, W)`` in [0, 1]; ``oracle_map`` also takes the true radii.
"""

from __future__ import annotations

from jdrl_lightning.registry import Registry

_registry = Registry(
    "classical method",
    {
        "ebdb": "jdrl_lightning.classical.methods:ebdb",
        "jnb": "jdrl_lightning.classical.methods:jnb",
        "dmenet": "jdrl_lightning.classical.methods:dmenet",
        "oracle_map": "jdrl_lightning.classical.spatial:MapDeconvolution",
    },
    group="jdrl_lightning.classical",
)
names = _registry.names
create = _registry.create

__all__ = ["create", "names"]
