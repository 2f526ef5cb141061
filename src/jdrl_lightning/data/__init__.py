"""Image pairs: rendered from photographs or textures, published data sets, or the user's own."""

from __future__ import annotations

from jdrl_lightning.registry import Registry

_registry = Registry(
    "data set",
    {
        "photos": "jdrl_lightning.data.datasets:photos",
        "leaves": "jdrl_lightning.data.datasets:leaves",
        "folder": "jdrl_lightning.data.datasets:folder",
        "stack": "jdrl_lightning.data.stack_pairs:stack",
        "dpdd": "jdrl_lightning.data.published.dpdd:dpdd",
        "sdd": "jdrl_lightning.data.published.sdd:sdd",
        "realdof": "jdrl_lightning.data.published.realdof:realdof",
        "lfdof": "jdrl_lightning.data.published.lfdof:lfdof",
        "pixeldp": "jdrl_lightning.data.published.pixeldp:pixeldp",
        "cuhk": "jdrl_lightning.data.published.cuhk:cuhk",
    },
    group="jdrl_lightning.datasets",
)
names = _registry.names
create = _registry.create

__all__ = ["create", "names"]
