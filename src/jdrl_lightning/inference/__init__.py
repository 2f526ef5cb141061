"""Restoring images of any size."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__, submod_attrs={"network": ["final_output", "ready"], "restorer": ["Restorer"], "tiles": ["restore"]}
)
__all__ = ["Restorer", "final_output", "ready", "restore"]
