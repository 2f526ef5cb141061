"""How good a restored image is, and whether it stayed in place: functions of one batch, and torchmetrics Metrics."""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "fidelity": ["mae", "psnr", "ssim"],
        "image_metrics": ["LPIPS", "MAE", "PSNR", "SSIM"],
        "perceptual": ["lpips"],
        "placement": ["Placement", "placement_error"],
        "references": ["AlignedQuality", "DeformedGtQuality", "GtQuality", "PlacementError", "Quality", "quality"],
    },
)
