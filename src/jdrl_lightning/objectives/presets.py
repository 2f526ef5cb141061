"""The named forms of the objectives, for use without Hydra; conf/objective/ holds the same as yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from jdrl_lightning.objectives.contextual import Contextual
from jdrl_lightning.objectives.jdrl import JDRL
from jdrl_lightning.objectives.jdrl_map import JDRLMap
from jdrl_lightning.objectives.supervised import Supervised

__all__ = [
    "PRESETS", "charbonnier", "cobi", "gcm", "jdrl", "jdrl_map", "jdrl_map_official", "jdrl_official", "jdrl_robust",
    "l1", "mse", "psnr",
]  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
    # The paper's form: JDRL's own defaults.
    "jdrl": {},
    # The published code: unmasked one-way warm-up, colour-wheel mask, half-pixel warp, Xavier initialisation.
    "jdrl_official": {
        "schedule": "official",
        "mask": "colorwheel",
        "mask_warmup": False,
        "in_frame": False,
        "warp": "legacy",
        "reblur": {"init": "xavier"},
    },
    # Ours: forward-backward consistency, mean over the kept pixels, flow that starts from that of the whole pictures
    # restored, and a reblurring network that learns from the aligned sharp image, with maps for 4×4 px at once.
    "jdrl_robust": {
        "alpha": 0.1,
        "warmup_reblur": "detached",
        "reblur_learns_from": "aligned",
        "mask": "consistency",
        "min_px": 0.5,
        "anchor": "affine",
        "flow_of": "restored",
        "reduction": "masked_mean",
        "reblur": {"stride": 4, "width": 32},
    },
    # LiteISP's answer: the sharp image warped onto the input by flow between images of matching colours; no cycle.
    "gcm": {
        "schedule": [{"name": "warp", "start": 0, "flow_source": "blurry", "weights": {"align": 1.0}}],
        "mask": "none",
        "match_color": True,
        "reduction": "masked_mean",
        "reblur": None,
    },
}


# The journal version's blur map: ours on jdrl_robust, and the published form.
PRESETS |= {
    "jdrl_map": {**PRESETS["jdrl_robust"], "map": "match"},
    "jdrl_map_official": {"schedule": "official", "mask_warmup": False, "map": "seeds"},
}


def _jdrl(preset: Mapping[str, Any], kind: type[JDRL] = JDRL, **settings: Any) -> JDRL:
    """``kind`` with ``settings`` over those of ``preset``; by default the reblurring network has the published size."""
    merged = {"reblur": {}, **preset, **settings}
    if isinstance(merged["reblur"], Mapping):
        merged["reblur"] = {**(preset.get("reblur") or {}), **merged["reblur"]}
    return kind(**merged)


jdrl = partial(_jdrl, PRESETS["jdrl"])
jdrl_official = partial(_jdrl, PRESETS["jdrl_official"])
jdrl_robust = partial(_jdrl, PRESETS["jdrl_robust"])
jdrl_map = partial(_jdrl, PRESETS["jdrl_map"], JDRLMap)
jdrl_map_official = partial(_jdrl, PRESETS["jdrl_map_official"], JDRLMap)
gcm = partial(_jdrl, PRESETS["gcm"])
charbonnier = partial(Supervised, "charbonnier")
l1 = partial(Supervised, "l1")
mse = partial(Supervised, "mse")
psnr = partial(Supervised, "psnr")
cobi = partial(Contextual, spatial_weight=0.05, anchor=1.0)
