"""The lines of each panel, for the W&B workspace and the figures of docs/dashboards.md."""

from __future__ import annotations

STEP = "trainer/global_step"
METRICS = {"PSNR, dB": "psnr", "gain over the input, dB": "gain", "SSIM": "ssim", "MAE": "mae"}
REFERENCES = ("gt", "deformed_gt", "aligned")

# {section: {panel: names of the logged values}}
SECTIONS: dict[str, dict[str, list[str]]] = {
    "Quality": {title: [f"val/{reference}/{metric}" for reference in REFERENCES] for title, metric in METRICS.items()}
    | {
        "placement error, px": ["val/placement/rms", "val/placement/p95"],
        "change of the input, levels": ["val/change"],
    },
    "Losses": {
        "total loss": ["train/loss"],
        "loss terms": ["train/loss/align", "train/loss/align_back", "train/loss/reblur", "train/loss/reblur_sharp"],
        "loss of the blur map": ["train/loss/map"],
        "stage": ["stage"],
    },
    "Alignment": {
        "share kept by the mask": ["train/kept"],
        "length of the flow, px": ["train/flow_px", "train/flow_p95_px"],
    },
    "Predicted blur": {"predicted radius, px": ["val/blur/mean_px", "val/blur/p95_px"]},
    "Machine": {
        "crops per second": ["train/images_per_s"],
        "peak memory, MiB": ["train/peak_memory_mib"],
        "learning rate": ["lr-Adam"],
    },
}
