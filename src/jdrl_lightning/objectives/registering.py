"""Objectives that measure flow between the blurry or restored and the sharp image, and decide where to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow import create as create_flow
from jdrl_lightning.flow.affine import affine_fit
from jdrl_lightning.flow.base import FlowEstimator, both_ways
from jdrl_lightning.flow.masks import LAM, calibration_mask
from jdrl_lightning.flow.match_color import ColorMatched
from jdrl_lightning.flow.warp import in_frame, invert
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.types import Pair

__all__ = ["Registering"]

MASKS = ("none", "magnitude", "colorwheel", "residual", "consistency")


class Registering(Objective):
    """An objective with a flow estimator, which is frozen and outside the module tree.

    Args:
        flow: estimator, ``flow(first, second)`` with ``warp(second, flow) ≈ first``, or its name and settings.
        schedule: its stages.
        lam: λ of the calibration mask, Eq. 4, in (0, 1).
        mask: ``magnitude`` (Eq. 4), ``colorwheel`` (published code), ``residual``, ``consistency`` or ``none``.
        min_px: pixels within this distance of the mean flow are kept, whatever λ.
        mask_warmup: whether the warm-up masks too (the published code does not).
        in_frame: reject pixels whose match lies outside the image.
        anchor: ``none``, or ``affine``: take the affine part of the flow from the blurry image, whose position is right
            by definition, so that a bias of the estimator cannot accumulate over the steps.
        flow_of: where the blurry image's flow is measured: ``crop``: at every step; ``picture``: once per pair, on the
            whole images, then cropped and augmented with them; the output's flow starts from it; ``restored``: the
            same, of the blurry image as the network that comes with the package restores it.
        match_color: the estimator sees images whose colours match, see :func:`.match_color`; for pairs that differ in
            colour or exposure.
        warp: ``exact``, or ``legacy`` for the published half-pixel grid.
        output_weights: see :class:`Objective`.
    """

    warping_terms: frozenset[str] = frozenset()  # those that need the flow

    def __init__(
        self,
        flow: FlowEstimator | Mapping[str, Any],
        schedule: Schedule,
        *,
        lam: float = LAM,
        mask: str = "magnitude",
        min_px: float = 0.0,
        mask_warmup: bool = True,
        in_frame: bool = True,
        anchor: str = "none",
        flow_of: str = "crop",
        match_color: bool = False,
        warp: str = "exact",
        output_weights: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__(schedule, output_weights)
        for key, value, known in (
            ("mask", mask, MASKS),
            ("anchor", anchor, ("none", "affine")),
            ("flow_of", flow_of, ("crop", "picture", "restored")),
            ("warp", warp, ("exact", "legacy")),
        ):
            check_choice(f"objective.{key}", value, known)
        if not 0 < lam < 1:
            raise UserError(f"objective.lam={lam} is not between 0 and 1")
        estimator: FlowEstimator = create_flow(**flow) if isinstance(flow, Mapping) else flow
        self.flow: FlowEstimator = ColorMatched(estimator) if match_color else estimator
        self.lam, self.mask, self.min_px, self.mask_warmup, self.in_frame = lam, mask, min_px, mask_warmup, in_frame
        self.anchor, self.flow_of, self.grid = anchor, flow_of, warp
        if flow_of != "crop" and self.picture_flow is None:
            raise UserError(
                f"objective.flow_of={flow_of}, but no stage measures the blurry image's flow: set flow_of=crop"
            )

    @property
    def picture_flow(self) -> FlowEstimator | None:
        """The estimator, if flow of whole images is asked for and some stage uses the blurry image's."""
        stages = [stage for stage in self.schedule.stages if not self.warping_terms.isdisjoint(stage.weights)]
        sources = {stage.flow_source for stage in stages}
        asked = "blurry" in sources or ("restored" in sources and (self.anchor != "none" or self.flow.uses_start))
        return self.flow if self.flow_of != "crop" and asked and not self.flow.uses_truth else None

    def flows(self, restored: Tensor, pair: Pair, stage: Stage) -> tuple[Tensor, Tensor]:
        """Flow from the output to the sharp image (Eq. 2 calls it S→Î), and the reverse: ``(B, 2, H, W)`` each."""
        if stage.flow_source == "none":
            zero = torch.zeros_like(pair.sharp[:, :2])
            return zero, zero
        if self.flow.uses_truth:
            if "flow" not in pair.extras:
                raise UserError("flow=oracle needs pairs that carry their true flow; use data=photos or data=leaves")
            truth = pair.extras["flow"].to(pair.sharp.dtype)
            return truth, invert(truth)
        if stage.flow_source == "blurry":
            return self._flows_of_blurry(pair)
        output = restored.detach().clamp(0, 1).to(pair.sharp.dtype)
        if self.flow_of != "crop":
            theirs = self._flows_of_blurry(pair)
            ours = both_ways(self.flow, output, pair.sharp, start=theirs)
            if self.anchor == "none":
                return ours
        elif self.anchor == "none":
            return both_ways(self.flow, output, pair.sharp)
        else:
            joined = both_ways(self.flow, torch.cat([output, pair.blurry]), torch.cat([pair.sharp, pair.sharp]))
            ours, theirs = zip(*(flow.chunk(2) for flow in joined), strict=True)
        there, back = (flow - affine_fit(flow - blurry) for flow, blurry in zip(ours, theirs, strict=True))
        return there, back

    def _flows_of_blurry(self, pair: Pair) -> tuple[Tensor, Tensor]:
        carried = {"there", "back"} <= pair.extras.keys()
        if self.flow_of == "crop" or not (carried or self.training):  # validation images are whole anyway
            return both_ways(self.flow, pair.blurry, pair.sharp)
        if not carried:
            raise UserError(
                f"objective.flow_of={self.flow_of} needs pairs that carry their flow: wrap them in "
                "jdrl_lightning.data.precomputed_flow.WithFlow, as jdrl_lightning.train does, or set flow_of=crop"
            )
        return pair.extras["there"].to(pair.sharp.dtype), pair.extras["back"].to(pair.sharp.dtype)

    def masks(self, there: Tensor, back: Tensor, stage: Stage) -> tuple[Tensor | None, Tensor | None]:
        """Calibration masks of both flows, ``(B, 1, H, W)`` of 0 and 1; None where nothing is rejected."""
        if stage.flow_source == "none" or (stage.flow_source == "blurry" and not self.mask_warmup):
            return None, None
        return self._mask(there, back), self._mask(back, there)

    def _mask(self, flow: Tensor, backward: Tensor) -> Tensor | None:
        inside = in_frame(flow) if self.in_frame else None
        if self.mask == "none":
            return inside
        kept = calibration_mask(flow, self.lam, self.mask, backward, self.min_px)
        return kept if inside is None else kept * inside
