"""Settings to start from, for pairs of which the number, the sizes and the misalignment are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from jdrl_lightning.data.datamodule import EPOCH

__all__ = ["HEADROOM", "Proposal", "proposed", "smaller", "with_found", "written"]

FEW = 200  # pairs, below which the shipped network is fitted; a large one would learn them by heart
HEADROOM = 1.5  # of the counted memory: what operators need inside, and the allocator


class Proposal(NamedTuple):
    """Options of the config groups, values of single settings by group, and what to know about them."""

    choices: dict[str, str]
    values: dict[str, Any]
    reasons: list[str]

    def steps(self, pairs: int) -> int:
        """Of the whole training, with ``pairs`` training pairs."""
        crops = pairs * -(-EPOCH // pairs)
        return int(crops // self.values["data"]["batch_size"] * self.values["trainer"]["max_epochs"])


def proposed(data: Mapping[str, Any], verdict: str | None, pairs: int, smallest_px: int, gpu: bool) -> Proposal:
    """What docs/results/README.md recommends to start from.

    Args:
        data: settings of the data set, with ``name``.
        verdict: see :func:`~.pairs.verdict`; None: photos, whose partners are rendered in place.
        pairs: for training.
        smallest_px: shortest side of their images.
        gpu: whether there is one.
    """
    large = gpu and pairs >= FEW
    kept = {key: value for key, value in data.items() if key != "name"}
    kept |= {"crop": min(256 if large else 96, smallest_px), "batch_size": 4, "repeat": None}
    reasons = [f"{pairs} training pairs, {'a' if gpu else 'no'} GPU: {_network(large)}"]
    jdrl = "jdrl_robust" if large else "jdrl_quick"
    if verdict is None:
        kept["misalignment"], objective = "none", "charbonnier"
        reasons.append("partners are rendered in place, so pixel by pixel; data.misalignment=nonrigid tries JDRL")
    elif verdict == "aligned":
        objective = "charbonnier"
        reasons.append("aligned to within a pixel: pixel by pixel")
    elif verdict == "affine" and data["name"] != "stack":  # of stacks, frames are registered already
        kept["register"], objective = "affine", "charbonnier"
        reasons.append(f"an affine map explains the misalignment: registered, pixel by pixel; compare objective={jdrl}")
    else:
        objective = jdrl
        reasons.append("misaligned by more than an affine map can undo: JDRL")
        if verdict == "far" and data["name"] != "stack":
            kept["register"] = "affine"
            reasons.append("far apart: registered roughly first")
    values: dict[str, Any] = {"data": kept, "trainer": {"max_epochs": 100 if large else 10}}
    if not large:
        values |= {"backbone": {"weights": "builtin"}, "optim": {"optimizer": {"lr": 1e-4}}}
    choices = {
        "data": str(data["name"]),
        "backbone": "unet" if large else "compact",
        "objective": objective,
        "optim": "paper" if large else "cosine",
    }
    return Proposal(choices, values, reasons)


def smaller(given: Proposal) -> Proposal | None:
    """With half the crops a step, or crops of half the side; None: neither can be."""
    data = given.values["data"]
    if data["batch_size"] > 1:
        changed = {"batch_size": data["batch_size"] // 2}
    elif data["crop"] > 64:
        changed = {"crop": data["crop"] // 2}
    else:
        return None
    return given._replace(values={**given.values, "data": {**data, **changed}})


def with_found(given: Proposal, lr: float | None, batch_size: int | None) -> Proposal:
    """With what the finders of learning rate and batch size say.

    A network from scratch takes the rate. One that is fitted keeps its own: its loss hardly falls within the finder's
    steps, and the rate suggested then gains a third of what its own does (docs/starting.md).
    """
    values, reasons = dict(given.values), list(given.reasons)
    if batch_size is not None:
        reasons.append(f"up to {batch_size} crops a step fit into the GPU's memory")
    if lr is None:
        reasons.append("the learning-rate finder found no rate at which the loss falls")
    elif "optim" in values:
        kept = values["optim"]["optimizer"]["lr"]
        reasons.append(
            f"the learning-rate finder suggests {lr:.1e}; kept {kept:.1e}, as the network is trained already"
        )
    else:
        values["optim"] = {"optimizer": {"lr": float(f"{lr:.1e}")}}
        reasons.append(f"learning rate by the finder: {lr:.1e}")
    return given._replace(values=values, reasons=reasons)


def written(given: Proposal, name: str, comments: list[str]) -> str:
    """The experiment as a yaml file of Hydra's."""
    lines = ["# @package _global_", *(f"# {comment}" for comment in comments), "defaults:"]
    lines += [f"  - override /{group}: {option}" for group, option in given.choices.items()]
    return "\n".join(lines) + "\n" + yaml.safe_dump({"name": name, **given.values}, sort_keys=False, allow_unicode=True)


def _network(large: bool) -> str:
    return "the paper's U-Net from scratch" if large else "the network that comes with the package, fitted to them"
