"""How good a restored image is, and whether it stayed in place."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, _ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fidelity": ["mae", "psnr", "ssim"],
        "perceptual": ["lpips"],
        "placement": ["Placement", "placement_error"],
    },
)
__all__ = ["Placement", "lpips", "mae", "placement_error", "psnr", "ssim"]
