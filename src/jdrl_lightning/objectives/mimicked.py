"""Training on an input that is made for the sharp image's place: a network mimics the blurry image there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.losses.charbonnier import EPS, charbonnier_loss
from jdrl_lightning.objectives.base import check_eps, trusted
from jdrl_lightning.objectives.registering import Registering
from jdrl_lightning.objectives.schedule import Schedule, Stage
from jdrl_lightning.reblur.network import PredictionNet, ReblurNet
from jdrl_lightning.types import Losses, Pair, Restored

__all__ = ["Mimicked"]


class Mimicked(Registering):
    """Mimicked alignment (Elezabi, Wu and Timofte, ACCV 2024): the input is moved instead of the target.

    ``M(sharp, blurry)`` looks like the blurry image, but lies where the sharp one does; the backbone restores it,
    detached, and is compared with the sharp image as given, which is never resampled. ``M`` itself is fitted to the
    blurry image warped onto the sharp one by flow. Terms: ``pixel``, the output against the sharp image; ``mimic``,
    ``M`` against the warped blurry image; ``color``, one minus the cosine of the angle between their colours.

    The backbone must be given what :meth:`prepare` returns; :class:`.DeblurringModule` does so.

    Args:
        flow: see :class:`Registering`, as for the settings that are not listed here.
        mimic: ``reblur`` (ours): the isotropic reblurring network on the sharp image, which can blur but neither move
            nor recolour it; ``network``: convolutions with residual blocks that change the sharp image freely. The
            published network's layers are not known to us; this one has those of JDRL's kernel prediction.
        reblur: settings of the reblurring network.
        width: feature channels of ``network``.
        color_weight: of the term ``color``, 0.01 as published; how it compares colours is our choice.
        eps: ε of the Charbonnier losses, which stand for the published L1.

    Raises:
        UserError: a setting is none of those above.

    Source: the paper clips the gradient of ``M`` at 0.01, which with Adam changes little and is left out.
    """

    known_terms = ("pixel", "mimic", "color")
    warping_terms = frozenset(("mimic", "color"))

    def __init__(
        self,
        flow: FlowEstimator | Mapping[str, Any],
        *,
        mimic: str = "reblur",
        reblur: Mapping[str, Any] | None = None,
        width: int = 64,
        color_weight: float = 0.01,
        eps: float = EPS,
        mask: str = "none",
        output_weights: Sequence[float] = (1.0,),
        **registering: Any,
    ) -> None:
        weights = {"pixel": 1.0, "mimic": 1.0, "color": color_weight}
        schedule = Schedule((Stage("supervised", 0, "blurry", weights),))
        super().__init__(flow, schedule, mask=mask, output_weights=output_weights, **registering)
        check_choice("objective.mimic", mimic, ("reblur", "network"))
        check_eps(eps)
        self.eps = eps
        self.mimic: nn.Module = ReblurNet(**(reblur or {})) if mimic == "reblur" else _Free(width)

    def prepare(self, pair: Pair, stage: Stage) -> Pair:
        """``pair`` with the mimicked image as ``blurry``; what :meth:`forward` needs is in its extras."""
        with torch.autocast(pair.sharp.device.type, enabled=False):
            there, back = self.flows(pair.blurry, pair, stage)
            _, mask = self.masks(there, back, stage)
        mimicked = self.mimic(pair.sharp, pair.blurry)
        made = {
            "mimicked": mimicked,
            "moved": warp(pair.blurry, back, grid=self.grid),
            "flow_to_blurry": back,
            "trusted": trusted(torch.ones_like(back[:, :1]) if mask is None else mask, pair),
        }
        if "valid" in pair.extras:
            made["valid"] = pair.extras["valid"]
        return Pair(mimicked.detach().clamp(0, 1), pair.sharp, pair.name, made)

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        """The three terms; ``maps`` has the mimicked image as ``reblurred``.

        Raises:
            UserError: in training, if ``restored`` is of a pair that is not from :meth:`prepare`.
        """
        if "mimicked" not in pair.extras:
            if self.training:
                raise UserError(
                    "objective=mimicked: restore pair.blurry of pair = objective.prepare(pair, stage), and pass that"
                )
            pair = self.prepare(pair, stage)
        mimicked, moved, mask = (pair.extras[name] for name in ("mimicked", "moved", "trusted"))
        sharp = trusted(pair.sharp, pair)
        angle = 1 - F.cosine_similarity(mimicked, moved, dim=1)[:, None]
        terms = {
            "pixel": self.sum_outputs(
                restored.images, lambda image: charbonnier_loss(trusted(image, pair), sharp, eps=self.eps)
            ),
            "mimic": charbonnier_loss(mimicked, moved, mask, self.eps, "masked_mean"),
            "color": (mask * angle).mean(),
        }
        terms = {name: term for name, term in terms.items() if name in stage.weights}
        maps = {"flow": pair.extras["flow_to_blurry"], "mask": mask, "reblurred": mimicked.detach()}
        return Losses(self.weigh(terms, stage), terms, maps)


class _Free(nn.Module):
    """``sharp`` plus what a network makes of both images; starts close to it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        if width < 1:
            raise UserError(f"objective.width={width} must be at least 1")
        self.change = PredictionNet(3, width)
        for parameter in self.change.tail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, sharp: Tensor, blurry: Tensor) -> Tensor:
        changed: Tensor = self.change(torch.cat([sharp, blurry], dim=1))
        return sharp + changed
