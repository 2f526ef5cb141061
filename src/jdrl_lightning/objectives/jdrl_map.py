"""JDRL that also teaches a blur map, which guides the deblurring network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.backbones.guided import DISC, REACH_PX
from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.match_color import ColorMatched, match_color
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.objectives.jdrl import JDRL
from jdrl_lightning.objectives.schedule import WARMUP_EPOCHS, Schedule, Stage
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.reblur.pair_radius import pair_radius
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["JDRLMap"]

NEAR_PX = 2.1  # error from which map=match counts errors themselves, not their squares: labels may be wrong


class JDRLMap(JDRL):
    """Reblurring-guided deblurring (Ren et al., arXiv 2409.17792): the blur between two images is a pseudo label.

    The backbone estimates a map of the blur from the blurry image alone (``backbone=guided``). Term ``map``: that
    against the blur found from both images. In the two named schedules it counts from the joint stage on, with
    ``map=match`` from the start.

    Args:
        flow: see :class:`JDRL`, as for the settings that are not listed here.
        reblur: see :class:`JDRL`; needed unless ``map=match``.
        schedule: see :class:`JDRL`; in a list of stages, ``map`` must be given where it is wanted.
        map: ``match`` (ours): the radius of the disc that blurs the aligned sharp image as the input is blurred, in
            units of 10.5 px, up to 9 px; no network is needed. Unless ``flow_of=crop``, it is measured once per pair,
            on the whole images (:func:`.pair_radius`); else on the crops, and counts where it is known
            (:func:`.matched_radius`) and the mask trusts it.
            ``radius``: the reblurring network's mean radius in units of 7 px, detached, from the aligned sharp image if
            the network learns from that. ``seeds`` (published): the kernel seeds predicted from the output, not
            detached; and while the warm-up lasts, epoch e of N, the map guides by a factor of ``.001 + .999 (e + 1) /
            N``.
        map_weight: of the term, 0.5 as published.
        warmup_epochs: N.

    Raises:
        UserError: a setting is none of those above, or does not go with the reblurring network's.
    """

    known_terms = (*JDRL.known_terms, "map")

    def __init__(
        self,
        flow: FlowEstimator | Mapping[str, Any],
        reblur: ReblurNet | Mapping[str, Any],
        schedule: Schedule | str | Sequence[Mapping[str, Any]] = "paper",
        *,
        map: str = "match",
        map_weight: float = 0.5,
        warmup_epochs: int = WARMUP_EPOCHS,
        **settings: Any,
    ) -> None:
        super().__init__(flow, reblur, schedule, warmup_epochs=warmup_epochs, **settings)
        check_choice("objective.map", map, ("match", "radius", "seeds"))
        if map != "match" and (self.reblur is None or self.reblur.kernel == "free"):
            raise UserError(f"objective.map={map} needs a stage with reblurring, by isotropic kernels")
        self.map, self.ramp_epochs = map, warmup_epochs if map == "seeds" else 0
        if isinstance(schedule, str):
            stages = self.schedule.stages
            first = 0 if map == "match" else len(stages) - 1  # a reblurring network has to learn before it can teach
            taught = [replace(stage, weights={**stage.weights, "map": map_weight}) for stage in stages[first:]]
            self.schedule = Schedule((*stages[:first], *taught))
        self.wanted_aux = {"map": self.reblur.n_seeds if map == "seeds" and self.reblur is not None else 1}

    @property
    def picture_radius(self) -> Callable[[Pair, Tensor, Tensor], Tensor] | None:
        asked = self.map == "match" and "map" in self.schedule.terms
        return self._pair_radius if asked and self.picture_flow is not None else None

    def _pair_radius(self, pair: Pair, there: Tensor, back: Tensor) -> Tensor:
        trusted = self._mask(there, back)
        trusted = torch.ones_like(there[:, :1]) if trusted is None else trusted
        if "valid" in pair.extras:
            trusted = trusted * (warp(pair.extras["valid"], there) > 0.99)
        return pair_radius(pair.blurry, self._recolored(pair.sharp, pair), there, trusted, self.flow)

    def _recolored(self, sharp: Tensor, pair: Pair) -> Tensor:
        """With the blurry image's colours, with ``match_color``: discs are told apart by small differences."""
        return match_color(sharp, pair.blurry) if isinstance(self.flow, ColorMatched) else sharp

    def guide_strength(self, epoch: int) -> float:
        """Factor on the map where it guides, in an epoch counted from 0."""
        return 1.0 if epoch >= self.ramp_epochs else 0.001 + 0.999 * (epoch + 1) / self.ramp_epochs

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """The terms of :class:`JDRL`, and ``map``, unless in validation ``restored`` has no map.

        Raises:
            UserError: in training, in any stage, the backbone predicts no map, or one of other channels.
        """
        found = self._map_of(restored, pair) if self.training or "map" in restored.aux else None
        own = {name: weight for name, weight in stage.weights.items() if name != "map"}
        losses = super().forward(restored, pair, replace(stage, weights=own))
        if "map" not in stage.weights or found is None:
            return losses
        terms = losses.terms | {"map": self._map_loss(found, restored, pair, losses.maps, stage)}
        return losses._replace(total=losses.total + stage.weights["map"] * terms["map"], terms=terms)

    def _map_of(self, restored: Restored, pair: Pair) -> Tensor:
        """The backbone's map, cut to the images."""
        channels = self.wanted_aux["map"]
        found = restored.aux.get("map")
        if found is None or found.shape[1] != channels:
            seen = "no map" if found is None else f"a map of {found.shape[1]} channels"
            remedy = f"set backbone=guided backbone.channels={channels}"
            raise UserError(f"objective.map={self.map} needs a map from the network, which has {seen}: {remedy}")
        return found[..., : pair.blurry.shape[-2], : pair.blurry.shape[-1]]

    def _map_loss(
        self, found: Tensor, restored: Restored, pair: Pair, maps: Mapping[str, Tensor], stage: Stage
    ) -> Tensor:
        found = found.detach() if stage.frozen else found
        if self.map == "match":
            radius, trusted = self._matched(restored, pair, maps)
            scale = DISC * REACH_PX
            return charbonnier_loss(found, radius / scale, trusted, NEAR_PX / scale, "masked_mean")
        assert self.reblur is not None
        if self.map == "seeds":
            image = restored.images[0].detach() if stage.frozen else restored.images[0]
            seeds, _ = self.reblur.seeds_and_weights(image, pair.blurry)
            return charbonnier_loss(found, seeds, eps=self.eps)
        from_aligned = "reblur_sharp" in stage.weights
        image = maps["aligned"] if from_aligned else restored.images[0].detach()
        with torch.no_grad():
            label = self.reblur.blur_radius(image, pair.blurry) / REACH_PX
        return charbonnier_loss(found, label, maps["mask"] if from_aligned else None, self.eps, self.reduction)

    def _matched(self, restored: Restored, pair: Pair, maps: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The label of ``map=match``, px, and where it counts; ``(B, 1, H, W)`` each."""
        mask = maps.get("mask", torch.ones_like(pair.blurry[:, :1]))
        if self.picture_radius is None or not (self.training or "radius" in pair.extras):
            aligned = maps.get("aligned", restored.images[0].detach())
            radius, known = matched_radius(self._recolored(aligned, pair), pair.blurry)
            return radius, known * mask
        if "radius" not in pair.extras:
            raise UserError(
                f"objective.flow_of={self.flow_of} with map=match needs pairs that carry their blur: give "
                "jdrl_lightning.data.precomputed_flow.WithFlow radius=objective.picture_radius, or set flow_of=crop"
            )
        radius = pair.extras["radius"].to(pair.blurry.dtype)
        known = (radius >= 0).to(radius.dtype)
        return radius, known * mask if "valid" in pair.extras else known
