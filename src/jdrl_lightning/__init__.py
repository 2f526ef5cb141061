"""Train defocus-deblurring networks on image pairs that do not line up. Importing this imports no torch."""

from __future__ import annotations

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=[
        "backbones",
        "build",
        "callbacks",
        "classical",
        "data",
        "flow",
        "inference",
        "losses",
        "metrics",
        "objectives",
        "reblur",
    ],
    submod_attrs={
        "module": ["DeblurringModule"],
        "types": ["Losses", "Pair", "Restored"],
        "errors": ["UserError"],
        "build": ["load"],
    },
)
__all__ = [
    "DeblurringModule",
    "Losses",
    "Pair",
    "Restored",
    "UserError",
    "__version__",
    "backbones",
    "build",
    "callbacks",
    "classical",
    "data",
    "flow",
    "inference",
    "load",
    "losses",
    "metrics",
    "objectives",
    "reblur",
]
