"""Two-stage deblurring, the approach before end-to-end networks: estimate a defocus map, then deconvolve; by name.

``create("ebdb")(blurry)`` restores ``(B, 3, H, W)`` in [0, 1]; ``oracle_map`` takes the true radii as well.
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
