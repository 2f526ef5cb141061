"""The LightningModule: a backbone, an objective, an optimiser. No loss arithmetic and no metrics here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from torch import Tensor, distributed, nn

from jdrl_lightning import __version__, backbones, objectives
from jdrl_lightning.backbones.base import input_of
from jdrl_lightning.backbones.guided import GuidedBackbone
from jdrl_lightning.backbones.stored import MISFIT, backbone_from_here, naming
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.masks import kept_quantile
from jdrl_lightning.flow.warp import magnitude
from jdrl_lightning.inference import final_output
from jdrl_lightning.io.hub_model import HubModel
from jdrl_lightning.io.weights import CHECKPOINT_KEY, fill
from jdrl_lightning.objectives.base import Objective
from jdrl_lightning.objectives.schedule import Stage
from jdrl_lightning.objectives.stored import objective_from_here
from jdrl_lightning.rates import StepDecay
from jdrl_lightning.registry import made_from, without_files
from jdrl_lightning.runtime.compile import compiled
from jdrl_lightning.runtime.mkldnn_layout import use_mkldnn_layout
from jdrl_lightning.types import Pair

__all__ = ["DeblurringModule", "channels_last", "paper_adam"]


def paper_adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam at 2e-5, the paper's."""
    return torch.optim.Adam(parameters, lr=2e-5, fused=True)


class DeblurringModule(L.LightningModule, HubModel):
    """Trains ``backbone`` for ``objective``; all networks' parameters share one optimiser.

    :class:`HubModel` saves it to a folder or to the hub, and loads it, with what the objective has learned.

    Args:
        backbone: ``backbone(input_of(pair, backbone)) -> Restored``; may have heads for training, see
            :meth:`Backbone.auxiliary`.
        objective: ``objective(restored, pair, stage) -> Losses``; its schedule says which stage an epoch belongs to.
        optimizer: parameters in, optimiser out.
        scheduler: factor on the learning rate at a time in epochs (2.25 is a quarter into the third); the stage's
            ``lr_scale`` multiplies it.
        seed: dropout of a step is a function of (seed, step, rank), so a resumed run is bit-identical.
        config: what the module was built from, as plain types; stored in checkpoints. None: what the registries kept
            of the backbone and the objective that they made, if these are plain types.
        compile: train by :func:`.compiled`: the backbone, and the networks within the objective's parts.
    """

    def __init__(
        self,
        backbone: nn.Module,
        objective: Objective,
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = paper_adam,
        scheduler: Callable[[float], float] = StepDecay(),  # noqa: B008  (frozen)
        seed: int = 0,
        config: dict[str, Any] | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.objective = objective
        make_heads = getattr(backbone, "auxiliary", None)
        self.auxiliary: nn.Module | None = make_heads() if make_heads else None
        self._optimizer, self._scheduler = optimizer, scheduler
        self.seed = seed
        self.config = _settings_of(backbone=backbone, objective=objective) if config is None else config
        # Only for training: whole validation images would be compiled size by size.
        self._compiled = compiled(backbone) if compile else None
        for part in objective.children() if compile else ():
            for network in part.children():  # a reblurring network is not called as a whole: its maps serve twice
                network.compile()

    @property
    def stage(self) -> Stage:
        """The stage of the current epoch."""
        return self.objective.schedule.at(self.current_epoch)

    def forward(self, blurry: Tensor) -> Tensor:
        """Restore RGB in [0, 1], what :func:`.input_of` gives of a pair: the final output, ``(B, 3, H, W)``."""
        restored: Tensor = final_output(self.backbone)(blurry)
        return restored

    def on_after_batch_transfer(self, batch: Pair, dataloader_idx: int) -> Pair:
        """Integers become floats here, on the device, before any other arithmetic."""
        return batch.to_float(cast(torch.dtype, self.dtype))

    def on_train_batch_start(self, batch: Pair, batch_idx: int) -> None:
        """Set and log the learning rate of this step; if the number of steps is unknown, that of the epoch's middle.

        A warm-up in whole epochs would not help a small network: its features die in a first epoch at a high rate.
        Lightning's learning-rate finder brings a scheduler of its own; then the rate is left to it.
        """
        if self.trainer.lr_scheduler_configs:
            return
        count = self.trainer.num_training_batches
        factor = self._rate(self.current_epoch + (batch_idx / count if math.isfinite(count) else 0.5))
        optimizer = cast(torch.optim.Optimizer, self.optimizers(use_pl_optimizer=False))
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        filled = torch.full((), optimizer.param_groups[0]["lr"], device=self.device)  # a copy would synchronise
        self.log(f"lr-{type(optimizer).__name__}", filled, batch_size=len(batch.blurry))

    def training_step(self, batch: Pair, batch_idx: int) -> dict[str, Any]:
        """One step of the current stage: ``loss`` to minimise, ``maps`` for the panels."""
        stage = self.stage
        torch.manual_seed(_step_seed(self.seed, self.current_epoch, batch_idx, self.global_rank))
        self.backbone.train("backbone" not in stage.frozen)
        if isinstance(self.backbone, GuidedBackbone):
            self.backbone.network.strength.fill_(self.objective.guide_strength(self.current_epoch))
        batch = self.objective.prepare(batch, stage)
        restored = (self._compiled or self.backbone)(input_of(batch, self.backbone))
        losses = self.objective(restored, batch, stage)
        total, terms = losses.total, losses.terms
        if self.auxiliary is not None and "backbone" not in stage.frozen:
            extra = self.auxiliary(self.backbone, restored, batch)
            total, terms = total + sum(extra.values()), terms | extra
        shown = {"loss": total, **{f"loss/{name}": term for name, term in terms.items()}}
        if "mask" in losses.maps:
            flow, mask = losses.maps["flow"], losses.maps["mask"]
            shown |= {"kept": mask.mean(), "flow_px": magnitude(flow).mean(), "flow_p95_px": kept_quantile(flow, mask)}
        size, shown = len(batch.blurry), _over_ranks(shown)
        self.log("train/loss", shown.pop("loss"), prog_bar=True, batch_size=size)
        self.log_dict({f"train/{name}": value for name, value in shown.items()}, batch_size=size)
        return {"loss": total, "restored": restored.images[0].detach(), "maps": losses.maps}

    def validation_step(self, batch: Pair, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """The restored images, and ``coc`` if the network predicts a blur map; callbacks measure and draw them."""
        images, aux = self.backbone(input_of(batch, self.backbone))
        return {"restored": images[0].float()} | ({"coc": aux["coc"].float()} if "coc" in aux else {})

    test_step = validation_step

    def configure_model(self) -> None:
        """Choose the fastest memory layout for convolutions: channels last on CUDA, oneDNN's blocks on CPUs.

        On CPUs without AVX-512, channels last makes the gradients of the weights up to twice as slow.
        """
        if self.trainer.strategy.root_device.type == "cuda":
            channels_last(self)
        else:
            use_mkldnn_layout(self)

    def teardown(self, stage: str) -> None:
        """Return the networks to the default layout."""
        use_mkldnn_layout(self, False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """One optimiser over all trained parameters; its rates are set before each step."""
        optimizer = self._optimizer(p for p in self.parameters() if p.requires_grad)
        # A fused one could unscale float16 gradients itself; Lightning then refuses to clip, in bfloat16 too.
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        optimizer.register_load_state_dict_post_hook(_lay_out_as_parameters)
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        # A resumed training is given the groups of its checkpoint, but trains at the rate that it is started with.
        self._rates = [float(group["lr"]) for group in optimizer.param_groups]
        return optimizer

    def _rate(self, epoch: float) -> float:
        return self._scheduler(epoch) * self.objective.schedule.at(int(epoch)).lr_scale

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilding the module takes, as plain types: loading a checkpoint unpickles no code."""
        plan = self.objective.schedule
        checkpoint[CHECKPOINT_KEY] = {"config": self.config, "version": __version__, "schedule": plan.plain()}

    def _restores(self) -> nn.Module:
        return self.backbone

    def _to_store(self) -> tuple[Mapping[str, Any], Mapping[str, Tensor]]:
        if "backbone" not in self.config:
            raise UserError("made with a network that backbones.create did not make, so its settings are unknown")
        state = self.state_dict()
        if "objective" not in self.config:  # made of objects: only the network can be built elsewhere
            state = {name: tensor for name, tensor in state.items() if name.startswith("backbone.")}
        return self.config, state

    @classmethod
    def _from_stored(cls, content: Mapping[str, Any], file: Path) -> Any:
        config = content[CHECKPOINT_KEY]["config"]
        with naming(file):
            network = backbones.create(**backbone_from_here(config["backbone"], file))
            built = cls(network, objectives.create(**objective_from_here(config)), config=config)
            fill(built, content["state_dict"], MISFIT)
        return built.eval()


def _settings_of(**parts: nn.Module) -> dict[str, Any]:
    """What the registries kept of each part; parts that they did not make, or from objects, are left out."""
    found = {name: made_from(part) for name, part in parts.items()}
    return {name: without_files(kept) for name, kept in found.items() if isinstance(kept, Mapping) and _plain(kept)}


def _plain(value: Any) -> bool:
    """Whether ``value`` can be read back from a checkpoint without running anything."""
    if isinstance(value, Mapping):
        return type(value) is dict and all(map(_plain, [*value.keys(), *value.values()]))
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def channels_last(module: nn.Module) -> None:
    """Put the weights of all convolutions into channels last, in place: references to a parameter stay valid."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            weight = layer.weight.data
            # .contiguous() skips depthwise ones, and DDP would then warn about the strides of their gradients.
            layer.weight.data = torch.empty_like(weight, memory_format=torch.channels_last).copy_(weight)


def _lay_out_as_parameters(optimizer: torch.optim.Optimizer) -> None:
    """A fused step ignores strides, and a checkpoint may come from a device with another layout."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _over_ranks(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over all processes, in one reduction; ``sync_dist`` would reduce every value separately."""
    if not distributed.is_available() or not distributed.is_initialized():
        return values
    stacked = torch.stack([value.detach().float() for value in values.values()])
    distributed.all_reduce(stacked)
    return dict(zip(values, stacked / distributed.get_world_size(), strict=True))


def _step_seed(seed: int, epoch: int, batch_idx: int, rank: int) -> int:
    """Distinct for all steps and ranks of a run: a prime for each argument, modulo the range of torch's seeds."""
    return (seed * 1_000_003 + epoch * 7_368_787 + batch_idx * 104_729 + rank * 15_485_863) % (2**63)
