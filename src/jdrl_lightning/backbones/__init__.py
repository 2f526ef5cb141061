"""Deblurring networks by name, and loading their weights."""

from __future__ import annotations

import lazy_loader

from jdrl_lightning.registry import Registry

_registry = Registry(
    "backbone",
    {
        "unet": "jdrl_lightning.backbones.unet:unet",
        "compact": "jdrl_lightning.backbones.compact:compact",
        "guided": "jdrl_lightning.backbones.guided:guided",
        "dpdnet": "jdrl_lightning.backbones.dpdnet:dpdnet",
        "mprnet": "jdrl_lightning.backbones.mprnet:mprnet",
        "ifan": "jdrl_lightning.backbones.ifan:ifan",
        "dmphn": "jdrl_lightning.backbones.dmphn:dmphn",
        "kpac": "jdrl_lightning.backbones.kpac:kpac",
        "drbnet": "jdrl_lightning.backbones.drbnet:drbnet",
        "restormer": "jdrl_lightning.backbones.restormer:restormer",
        "nafnet": "jdrl_lightning.backbones.nafnet:nafnet",
        "gkmnet": "jdrl_lightning.backbones.gkmnet:gkmnet",
        "iniknet": "jdrl_lightning.backbones.iniknet:iniknet",
        "timm_unet": "jdrl_lightning.backbones.timm_unet:timm_unet",
        "spandrel": "jdrl_lightning.backbones.spandrel:spandrel",
    },
    group="jdrl_lightning.backbones",
)
names = _registry.names
create = _registry.create

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"base": ["Backbone"], "checkpoints": ["load_weights"]}
)
__all__ = ["Backbone", "create", "load_weights", "names"]
