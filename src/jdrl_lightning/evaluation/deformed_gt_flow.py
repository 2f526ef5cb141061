"""Which flow estimator warps the sharp image of ``deformed_gt``: by default not the one that trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import described

__all__ = ["chosen_flow", "flow_note", "identified", "trained_with"]

# Both need no weights. docs/evaluation.md: how near each comes to the figure under the true flow.
DEFAULT, SUBSTITUTE = "tvl1", "gauss_newton"


def trained_with(training: Mapping[str, Any] | None) -> str | None:
    """The flow estimator that the training's objective had; ``none``: it had none; None: no training is known."""
    if training is None or "objective" not in training:
        return None
    flow = training["objective"].get("flow")
    return str(flow["name"]) if isinstance(flow, Mapping) else "none"


def chosen_flow(asked: Mapping[str, Any] | None, trained: str | None) -> dict[str, Any]:
    """The settings that were ``asked`` for, else of an estimator that the method was not ``trained`` with.

    Raises:
        UserError: the true flow is asked for.
    """
    if asked is None:
        return {"name": SUBSTITUTE if trained == DEFAULT else DEFAULT}
    if asked["name"] == "oracle":
        raise UserError("flow=oracle does not look at images; leave flow=… out or choose another")
    return dict(asked)


def flow_note(name: str, trained: str | None, warping: str) -> str:
    """What the reader has to know about the estimator ``name``."""
    how = f"deformed_gt: the sharp image warped ({warping}) onto the restored one by flow={name}"
    if trained is None:
        about = "; which flow the method was trained with, if any, is not known here"
    elif trained == name:
        about = ", WHICH THE METHOD WAS TRAINED WITH: biased towards this method; choose another with flow=…"
    else:
        about = "; the method was trained without flow" if trained == "none" else f"; the training used flow={trained}"
    return f"{how}{about}. It forgives displacement and can reward it: read it with the placement error."


def identified(settings: Mapping[str, Any]) -> dict[str, Any]:
    """``settings`` with files of weights named by their content, not their place, so that runs can be compared."""
    kept = dict(settings)
    for key, value in kept.items():
        if key.endswith("weights") and value is not None and Path(value).is_file():
            kept[key] = f"{Path(value).name}, sha256 {described(value)[2]}"
    return kept
