"""Deblurring networks by name, and their weights."""

from __future__ import annotations

import lazy_loader

from jdrl_lightning.registry import Registry

_registry = Registry(
    "backbone",
    {
        "unet": "jdrl_lightning.backbones.unet:unet",
    },
    group="jdrl_lightning.backbones",
)
names = _registry.names
create = _registry.create

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"base": ["Backbone"], "checkpoints": ["load_weights"]}
)
__all__ = ["Backbone", "create", "load_weights", "names"]
