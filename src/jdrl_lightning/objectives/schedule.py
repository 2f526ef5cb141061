"""Training stages as data: which loss terms count from which epoch, and between which images flow is measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from jdrl_lightning.errors import UserError, check_choice, check_not_negative

__all__ = ["Schedule", "Stage"]

FLOW_SOURCES = ("blurry", "restored", "none")
# Defaults of the named schedules: α of Eq. 1, N of the paper; of the choices the first, the paper's.
ALPHA = 0.5
WARMUP_EPOCHS = 15
WARMUP_REBLUR = ("attached", "detached", "off")
REBLUR_LEARNS_FROM = ("restored", "aligned")


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: what logs and checkpoints call it (``warmup``, ``joint``).
        start: first epoch, counted from 0.
        flow_source: the image that the sharp image is warped onto: ``blurry`` (the network's input), ``restored`` (its
            output, Eq. 2) or ``none`` (no warp).
        weights: factor of each loss term; a term without weight is not computed.
        lr_scale: factor on the learning rate.
        frozen: parts that are not trained; only ``backbone`` is allowed. Its output is detached and it runs in eval
            mode. ``requires_grad`` stays as it is: changing it after DDP has wrapped lets ranks diverge silently.
        detach_reblur: the reblurring term trains only the reblurring network; its gradient stops at the output.
    """

    name: str
    start: int
    flow_source: str = "restored"
    weights: Mapping[str, float] = field(default_factory=lambda: {"align": 1.0})
    lr_scale: float = 1.0
    frozen: tuple[str, ...] = ()
    detach_reblur: bool = False

    def __post_init__(self) -> None:
        check_choice(f"stage {self.name!r}: flow_source", self.flow_source, FLOW_SOURCES)
        if set(self.frozen) - {"backbone"}:
            raise UserError(f"stage {self.name!r}: frozen={list(self.frozen)}, but only 'backbone' can be frozen")
        weights = {term: float(weight) for term, weight in self.weights.items()}
        for term, weight in weights.items():
            check_not_negative(f"stage {self.name!r}: weight of {term}", weight)
        object.__setattr__(self, "weights", {term: weight for term, weight in weights.items() if weight})
        object.__setattr__(self, "frozen", tuple(self.frozen))


@dataclass(frozen=True)
class Schedule:
    """Stages in the order of their first epochs; the first starts at epoch 0."""

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        starts = [stage.start for stage in self.stages]
        if not starts or starts[0] != 0 or any(a >= b for a, b in pairwise(starts)):
            raise UserError(f"a schedule's stages must start at epoch 0 and then ever later, not at {starts}")

    def at(self, epoch: int) -> Stage:
        """The last stage with ``start <= epoch``: a pure function, so resumed runs and all ranks agree."""
        return [stage for stage in self.stages if stage.start <= epoch][-1]

    @property
    def terms(self) -> set[str]:
        """Every loss term that some stage uses."""
        return {term for stage in self.stages for term in stage.weights}

    def plain(self) -> list[dict[str, Any]]:
        """The stages as dicts, lists, strings and numbers, for a checkpoint."""
        return [asdict(stage) | {"frozen": list(stage.frozen)} for stage in self.stages]

    def fingerprint(self) -> str:
        """A short hash of all stages: schedules with equal fingerprints train alike."""
        return hashlib.sha256(json.dumps(self.plain(), sort_keys=True).encode()).hexdigest()[:16]

    @classmethod
    def constant(cls, term: str) -> Schedule:
        """One stage, one term, no flow: ordinary supervised training."""
        return cls((Stage("supervised", 0, "none", {term: 1.0}),))

    @classmethod
    def paper(
        cls,
        alpha: float = ALPHA,
        warmup_epochs: int = WARMUP_EPOCHS,
        warmup_reblur: str = WARMUP_REBLUR[0],
        reblur_learns_from: str = REBLUR_LEARNS_FROM[0],
    ) -> Schedule:
        """The paper's two stages: flow of the blurry image before epoch ``warmup_epochs`` (N), then of the output.

        All terms count in both (Eq. 1 with ``alpha``); for the first this is inferred, the paper does not say.
        ``warmup_reblur="detached"``: during the warm-up its term trains only the reblurring network, so an untrained
        one does not mislead the deblurring network; ``"off"``: no such term. With ``reblur_learns_from="aligned"``
        (ours) it learns from the aligned sharp image, in a term of its own with the same weight.
        """
        check_choice("warmup_reblur", warmup_reblur, WARMUP_REBLUR)
        check_choice("reblur_learns_from", reblur_learns_from, REBLUR_LEARNS_FROM)
        align, reblur = {"align": 1.0, "align_back": 1.0}, {"reblur": alpha}
        detached = reblur
        if reblur_learns_from == "aligned":
            reblur, detached = {"reblur": alpha, "reblur_sharp": alpha}, {"reblur_sharp": alpha}
        first = {"attached": reblur, "detached": detached, "off": {}}[warmup_reblur]
        warmup = Stage("warmup", 0, "blurry", align | first, detach_reblur=warmup_reblur == "detached")
        return cls._staged(warmup, Stage("joint", warmup_epochs, "restored", align | reblur))

    @classmethod
    def official(cls, alpha: float = ALPHA, warmup_epochs: int = WARMUP_EPOCHS) -> Schedule:
        """The published code's two stages: its warm-up has only the align term, without mask (see ``JDRL``)."""
        full = {"align": 1.0, "align_back": 1.0, "reblur": alpha}
        return cls._staged(
            Stage("warmup", 0, "blurry", {"align": 1.0}), Stage("joint", warmup_epochs, "restored", full)
        )

    @classmethod
    def _staged(cls, warmup: Stage, joint: Stage) -> Schedule:
        if joint.start < 0:
            raise UserError(f"warmup_epochs={joint.start}: an epoch count cannot be negative")
        return cls((warmup, joint) if joint.start > 0 else (joint,))

    @classmethod
    def build(cls, spec: str | Sequence[Mapping[str, Any]] | Schedule, **settings: Any) -> Schedule:
        """A schedule from its name (``paper``, ``official``; ``settings`` are theirs), a list of stages, or itself."""
        if isinstance(spec, Schedule):
            return spec
        if isinstance(spec, str):
            if spec not in ("paper", "official"):
                raise UserError(f"objective.schedule={spec!r} is neither paper nor official nor a list of stages")
            for key, (usual, *_) in {"warmup_reblur": WARMUP_REBLUR, "reblur_learns_from": REBLUR_LEARNS_FROM}.items():
                if spec == "official" and settings.pop(key, usual) != usual:
                    raise UserError(f"{key} belongs to schedule=paper; the published code has {key}={usual} only")
            return getattr(cls, spec)(**settings)
        try:
            return cls(tuple(Stage(**stage) for stage in spec))
        except TypeError as error:
            raise UserError(f"objective.schedule: {error}") from error
