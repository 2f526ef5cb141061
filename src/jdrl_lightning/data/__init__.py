"""Image pairs: rendered from photographs, from textures, or the user's own."""

from __future__ import annotations

from jdrl_lightning.registry import Registry

_registry = Registry(
    "data set",
    {
        "photos": "jdrl_lightning.data.sets:photos",
        "leaves": "jdrl_lightning.data.sets:leaves",
        "folder": "jdrl_lightning.data.sets:folder",
    },
    group="jdrl_lightning.datasets",
)
names = _registry.names
create = _registry.create

__all__ = ["create", "names"]
