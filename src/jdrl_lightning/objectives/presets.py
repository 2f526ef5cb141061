"""The named forms of the objectives, for use without Hydra; conf/objective/ holds the same as yaml."""

from __future__ import annotations

from functools import partial
from typing import Any

from jdrl_lightning.objectives.jdrl import JDRL
from jdrl_lightning.objectives.supervised import Supervised

__all__ = ["charbonnier", "jdrl", "jdrl_official", "jdrl_robust", "l1", "mse"]


def _jdrl(defaults: dict[str, Any], **settings: Any) -> JDRL:
    """Build JDRL; a reblurring network not described has the published size and the preset's initialisation."""
    merged = {"reblur": {}, **defaults, **settings}
    if isinstance(merged["reblur"], dict):
        merged["reblur"] = {**defaults.get("reblur", {}), **merged["reblur"]}
    return JDRL(**merged)


def jdrl(**settings: Any) -> JDRL:
    """The paper to the letter."""
    return _jdrl({}, **settings)


def jdrl_official(**settings: Any) -> JDRL:
    """The published PyTorch code: unmasked one-way warm-up, colour-wheel mask, half-pixel warp, Xavier start."""
    code = {"schedule": "official", "mask": "colorwheel", "mask_warmup": False, "in_frame": False, "warp": "legacy"}
    return _jdrl(code | {"reblur": {"init": "xavier"}}, **settings)


def jdrl_robust(**settings: Any) -> JDRL:
    """Ours: forward-backward consistency, mean over the kept pixels, affine part of the flow anchored to the input.

    And a reblurring network that learns from the sharp image in place.
    """
    ours = {"mask": "consistency", "min_px": 0.5, "reduction": "masked_mean", "anchor": "affine"}
    return _jdrl(ours | {"warmup_reblur": "detached", "reblur_learns_from": "aligned"}, **settings)


charbonnier = partial(Supervised, "charbonnier")
l1 = partial(Supervised, "l1")
mse = partial(Supervised, "mse")
