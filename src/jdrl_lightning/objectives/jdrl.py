"""Joint deblurring and reblurring learning (Li et al., AAAI 2023): warp, mask, warp back, reblur."""

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
from jdrl_lightning.flow.warp import in_frame, invert, warp
from jdrl_lightning.losses.charbonnier import EPS, charbonnier_loss
from jdrl_lightning.losses.edge import edge_loss
from jdrl_lightning.objectives.base import Objective, check_eps
from jdrl_lightning.objectives.schedule import (
    ALPHA,
    REBLUR_LEARNS_FROM,
    WARMUP_EPOCHS,
    WARMUP_REBLUR,
    Schedule,
    Stage,
)
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.weights import load_reblur_weights
from jdrl_lightning.runtime.activation_checkpointing import checkpoint_activations
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["JDRL"]

_REBLURRING = frozenset(("reblur", "reblur_sharp"))
_WARPING = frozenset(("align", "align_back", "reblur_sharp"))
MASKS = ("none", "magnitude", "colorwheel", "residual", "consistency")


class JDRL(Objective):
    """The losses of the paper (Eq. 1-5, 10); every place where its published code differs is a setting.

    Terms: ``align``, the output against the sharp image warped onto it; ``align_back``, the output warped onto the
    sharp image against that; ``reblur``, the output reblurred with predicted isotropic kernels against the input;
    ``reblur_sharp`` (ours), the aligned sharp image reblurred against the input. In a stage that has this last one, it
    alone trains the reblurring network, and ``reblur`` blurs the output with the same kernels where the flow is
    trusted: what turns the sharp image into the input must do so with the output. Trained on outputs that are still
    blurry, the network learns the identity, and then cannot judge sharpness.
    The objective owns the reblurring network, which is trained; the flow estimator is frozen and outside the module
    tree. No gradient passes through flow or masks. Gradient reaches the output as the image compared in ``align``, as
    the image sampled in ``align_back``, as the image reblurred, and, without ``reblur_sharp``, as the input of the
    reblurring network.

    Args:
        flow: estimator, ``flow(first, second)`` with ``warp(second, flow) ≈ first``, or its name and settings.
        reblur: the reblurring network, its settings (``weights``: a file to start from), or None if no stage has the
            term.
        schedule: ``paper``, ``official``, a list of stages, or a :class:`Schedule`.
        lam: λ of the calibration mask, Eq. 4, in (0, 1).
        alpha: α of Eq. 1, weight of ``reblur`` in the two named schedules.
        warmup_epochs: N, first epoch of the joint stage in the two named schedules.
        warmup_reblur: ``attached``, ``detached`` or ``off``; see :meth:`Schedule.paper`.
        reblur_learns_from: ``restored`` (paper), or ``aligned``: adds ``reblur_sharp``, also times α, to ``paper``.
        mask: ``magnitude`` (Eq. 4), ``colorwheel`` (published code), ``residual``, ``consistency`` or ``none``.
        min_px: pixels within this distance of the mean flow are kept, whatever λ.
        mask_warmup: whether the warm-up masks too (the published code does not).
        in_frame: reject pixels whose match lies outside the image.
        anchor: ``none``, or ``affine``: take the affine part of the flow from the blurry image, whose position is right
            by definition, so that a bias of the estimator cannot accumulate over the steps.
        flow_of: where the blurry image's flow is measured: ``crop``: at every step; ``picture``: once per pair, on the
            whole images, then cropped and augmented with them; the output's flow starts from it.
        reduction: ``mean`` over all elements, or ``masked_mean`` over the kept ones.
        warp: ``exact``, or ``legacy`` for the published half-pixel grid.
        eps: ε of Eq. 5 and 10.
        edge_weight: weight, inside the align term, of the masked edge loss (MPRNet's recipe: 0.05).
        output_weights: see :class:`Objective`.
    """

    known_terms = ("align", "align_back", "reblur", "reblur_sharp")

    def __init__(
        self,
        flow: FlowEstimator | Mapping[str, Any],
        reblur: ReblurNet | Mapping[str, Any] | None = None,
        schedule: Schedule | str | Sequence[Mapping[str, Any]] = "paper",
        *,
        lam: float = LAM,
        alpha: float = ALPHA,
        warmup_epochs: int = WARMUP_EPOCHS,
        warmup_reblur: str = WARMUP_REBLUR[0],
        reblur_learns_from: str = REBLUR_LEARNS_FROM[0],
        mask: str = "magnitude",
        min_px: float = 0.0,
        mask_warmup: bool = True,
        in_frame: bool = True,
        anchor: str = "none",
        flow_of: str = "crop",
        reduction: str = "mean",
        warp: str = "exact",
        eps: float = EPS,
        edge_weight: float = 0.0,
        output_weights: Sequence[float] = (1.0,),
    ) -> None:
        named = Schedule.build(
            schedule,
            alpha=alpha,
            warmup_epochs=warmup_epochs,
            warmup_reblur=warmup_reblur,
            reblur_learns_from=reblur_learns_from,
        )
        super().__init__(named, output_weights)
        for key, value, known in (
            ("mask", mask, MASKS),
            ("anchor", anchor, ("none", "affine")),
            ("flow_of", flow_of, ("crop", "picture")),
            ("reduction", reduction, ("mean", "masked_mean")),
            ("warp", warp, ("exact", "legacy")),
        ):
            check_choice(f"objective.{key}", value, known)
        if not 0 < lam < 1:
            raise UserError(f"objective.lam={lam} is not between 0 and 1")
        check_eps(eps)
        reblurs = not _REBLURRING.isdisjoint(self.schedule.terms)
        if reblurs and reblur is None:
            raise UserError("the schedule has a reblur term but objective.reblur is null: give the network's settings")
        self.flow: FlowEstimator = create_flow(**flow) if isinstance(flow, Mapping) else flow
        self.reblur = _reblur_net(**reblur) if isinstance(reblur, Mapping) else reblur
        if not reblurs:
            self.reblur = None  # never trained, so kept out of checkpoints and DDP
        self.lam, self.mask, self.min_px, self.mask_warmup, self.in_frame = lam, mask, min_px, mask_warmup, in_frame
        self.anchor, self.flow_of, self.reduction, self.grid, self.eps = anchor, flow_of, reduction, warp, eps
        if flow_of == "picture" and self.picture_flow is None:
            raise UserError(
                "objective.flow_of=picture, but no stage measures the blurry image's flow: set flow_of=crop"
            )
        self.edge_weight = edge_weight

    def checkpoint_activations(self) -> bool:
        """Make the reblurring network recompute its activations in the backward pass, except its outputs."""
        return self.reblur is not None and checkpoint_activations(self.reblur.children())

    @property
    def picture_flow(self) -> FlowEstimator | None:
        """The estimator, if with ``flow_of=picture`` some stage uses the blurry image's flow."""
        sources = {stage.flow_source for stage in self.schedule.stages if not _WARPING.isdisjoint(stage.weights)}
        asked = "blurry" in sources or ("restored" in sources and (self.anchor != "none" or self.flow.uses_start))
        return self.flow if self.flow_of == "picture" and asked and not self.flow.uses_truth else None

    @property
    def find_unused_parameters(self) -> bool:
        """True if a stage leaves the backbone or the reblurring network without gradient."""
        stages = self.schedule.stages
        idle = self.reblur is not None and any(_REBLURRING.isdisjoint(stage.weights) for stage in stages)
        stopped = any(
            set(stage.weights) <= ({"reblur", "reblur_sharp"} if stage.detach_reblur else {"reblur_sharp"})
            for stage in stages
        )
        return idle or stopped or super().find_unused_parameters

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """Compute the stage's terms; ``maps`` holds intermediate results."""
        images = tuple(image.detach() for image in restored.images) if stage.frozen else restored.images
        terms: dict[str, Tensor] = {}
        maps: dict[str, Tensor] = {}
        mask: Tensor | None = None
        if not _WARPING.isdisjoint(stage.weights):
            with torch.autocast(images[0].device.type, enabled=False):  # coordinates need full float32 precision
                there, back = self.flows(images[0], pair, stage)
                mask, mask_back = self.masks(there, back, stage)
                if "valid" in pair.extras:
                    valid = pair.extras["valid"]
                    mask, mask_back = _both(mask, (warp(valid, there) > 0.99).to(valid.dtype)), _both(mask_back, valid)
            aligned = warp(pair.sharp, there, grid=self.grid)
            maps |= {"flow": there, "aligned": aligned, "mask": torch.ones_like(there[:, :1]) if mask is None else mask}
            if "align" in stage.weights:
                terms["align"] = self.sum_outputs(images, lambda image: self._difference(image, aligned, mask))
            if "align_back" in stage.weights:
                moved = warp(images[0], back, grid=self.grid)
                terms["align_back"] = charbonnier_loss(moved, pair.sharp, mask_back, self.eps, self.reduction)
        blur: tuple[Tensor, Tensor] | None = None
        if "reblur_sharp" in stage.weights:
            assert self.reblur is not None
            blur = self.reblur.maps(maps["aligned"], pair.blurry)
            maps["reblurred"] = reblurred_sharp = self.reblur.blur(maps["aligned"], *blur)
            terms["reblur_sharp"] = charbonnier_loss(reblurred_sharp, pair.blurry, mask, self.eps, self.reduction)
        if "reblur" in stage.weights:
            sources = [image.detach() for image in images] if stage.detach_reblur else images
            reblurred = [self._reblurred(image, pair.blurry, blur) for image in sources]
            maps["reblurred"] = reblurred[0]
            # Where the flow is wrong the aligned sharp image teaches a wrong blur.
            trusted = None if blur is None else mask
            terms["reblur"] = self.sum_outputs(
                reblurred, lambda image: charbonnier_loss(image, pair.blurry, trusted, self.eps, self.reduction)
            )
        return Losses(self.weigh(terms, stage), terms, {name: value.detach() for name, value in maps.items()})

    def _reblurred(self, image: Tensor, blurry: Tensor, blur: tuple[Tensor, Tensor] | None) -> Tensor:
        """``image`` reblurred, with the kernels of the aligned sharp image (``blur``) if there are any."""
        assert self.reblur is not None
        if blur is None:
            return self.reblur(image, blurry)
        return self.reblur.blur(image, *(maps.detach() for maps in blur))

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
        if self.flow_of == "picture":
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
                "objective.flow_of=picture needs pairs that carry their flow: wrap them in "
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

    def _difference(self, image: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
        loss = charbonnier_loss(image, target, mask, self.eps, self.reduction)
        return loss + self.edge_weight * edge_loss(image, target, mask) if self.edge_weight else loss


def _both(mask: Tensor | None, valid: Tensor) -> Tensor:
    return valid if mask is None else mask * valid


def _reblur_net(weights: str | None = None, **settings: Any) -> ReblurNet:
    network = ReblurNet(**settings)
    if weights:
        load_reblur_weights(network, weights)
    return network
