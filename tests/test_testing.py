"""The contract checks: all of our components pass them, and each kind of violation is found."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import backbones, flow, objectives
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.cli import config
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.objectives import Schedule, Stage, Supervised
from jdrl_lightning.testing import assert_is_backbone, assert_is_flow, assert_is_objective
from jdrl_lightning.types import Losses, Pair, Restored

NAFNET = {"width": 4, "enc_blk_nums": [1, 1], "middle_blk_num": 1, "dec_blk_nums": [1, 1]}
BACKBONES: dict[str, dict[str, Any]] = {
    "unet": {"width": 4},
    "dpdnet": {"width": 4},
    "mprnet": {"n_feat": 8, "scale_unetfeats": 4, "scale_orsnetfeats": 4, "num_cab": 1},
    "ifan": {"width": 4, "n_filters": 3},
    "compact": {"width": 4, "blocks": [1, 1]},
    "guided": {"of": {"name": "compact", "width": 4, "blocks": [1, 1]}, "width": 4},
    "dmphn": {"width": 4},
    "kpac": {"width": 4},
    "drbnet": {"width": 4},
    "restormer": {"dim": 8, "num_blocks": [1, 2, 1, 1], "num_refinement_blocks": 1, "heads": [1, 2, 2, 4]},
    "nafnet": NAFNET,
    "gkmnet": {"width": 4},
    "iniknet": {"width": 4, "bases": 3},
    "timm_unet": {"encoder": "mobilenetv3_small_050", "width": 4},
    "spandrel": {"path": "weights.pth"},  # of the NAFNet above
}
FLOWS: dict[str, dict[str, Any]] = {
    "pwcnet": {"weights": "random"},
    "raft_small": {"weights": "random", "iterations": 2},
    "raft_large": {"weights": "random", "iterations": 1},
    "ptlflow": {"model": "neuflow2", "weights": "random"},
}
ACCURATE = (
    "gauss_newton",
    "dis",
    "tvl1",
)  # the others are networks with random weights here, or do not estimate at all
OBJECTIVES = sorted(path.stem for path in (Path(config.CONF) / "objective").glob("*.yaml"))


@pytest.mark.filterwarnings("ignore:.*saved_variables")  # inside spandrel
@pytest.mark.parametrize("name", backbones.names())
def test_our_backbones_pass(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    if name == "spandrel":
        monkeypatch.chdir(tmp_path)
        torch.save(backbones.create("nafnet", **NAFNET).network.state_dict(), "weights.pth")
    assert_is_backbone(backbones.create(name, **BACKBONES[name]))


@pytest.mark.filterwarnings("ignore:.*random weights")
@pytest.mark.parametrize("name", flow.names())
def test_our_flow_estimators_pass(name: str) -> None:
    if name == "ptlflow":
        pytest.importorskip("ptlflow", reason="its opencv-python conflicts with the headless one of flow=dis")
    assert_is_flow(flow.create(name, **FLOWS.get(name, {})), accurate=name in ACCURATE)


@pytest.mark.parametrize("name", objectives.names())
def test_our_objectives_pass(name: str) -> None:
    jdrl = {"flow": {"name": "gauss_newton"}, "reblur": {"width": 4}}
    assert_is_objective(objectives.create(name, **(jdrl if name.startswith(("jdrl", "gcm", "mimicked")) else {})))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_configured_objectives_pass(name: str, composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    settings = composed(tmp_path, f"objective={name}", "backbone.width=4")["objective"]
    if settings.get("reblur"):
        settings["reblur"]["width"] = 4
    assert_is_objective(objectives.create(**settings))


def test_an_objective_with_precomputed_flow_passes() -> None:
    settings = {"flow": {"name": "gauss_newton"}, "reblur": {"width": 4}, "flow_of": "picture"}
    assert_is_objective(objectives.create("jdrl_robust", **settings))


def test_the_component_is_unchanged() -> None:
    backbone = backbones.create("unet", width=4).train()
    before, state = deepcopy(backbone.state_dict()), torch.get_rng_state()
    assert_is_backbone(backbone)
    assert backbone.training
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert torch.equal(torch.get_rng_state(), state)


class Plain(nn.Module):
    """A valid backbone; each subclass violates the contract in one way."""

    divisor, licence = 1, "none"

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, blurry: Tensor) -> Restored:
        image = blurry + self.layer(blurry)
        return Restored((image if self.training else image.clamp(0, 1),), {})


class WrongShape(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored((super().forward(blurry).images[0][..., :-1],), {})


class BareTensor(Plain):
    def forward(self, blurry: Tensor) -> Any:
        return super().forward(blurry).images[0]


class OnlyEvenSizes(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        assert blurry.shape[-1] % 2 == 0
        return super().forward(blurry)


class NotClamped(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored((blurry + self.layer(blurry),), {})


class AlwaysClamped(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored((super().forward(blurry).images[0].clamp(0, 1),), {})


class NoGradient(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return super().forward(blurry.detach())


class IdleParameter(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Conv2d(3, 3, 1)


class Noisy(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored(tuple((i + 0.01 * torch.rand_like(i)).clamp(0, 1) for i in super().forward(blurry).images), {})


class Counting(Plain):
    calls = 0

    def forward(self, blurry: Tensor) -> Restored:
        self.calls += self.training
        return Restored(tuple(image + self.calls for image in super().forward(blurry).images), {})


class NotFinite(Plain):
    def forward(self, blurry: Tensor) -> Restored:
        return Restored(tuple(image / 0 for image in super().forward(blurry).images), {})


class NoDivisor(Plain):
    divisor: Any = None


class NoLicence(Plain):
    licence = ""


class HeadLeftOut(Plain):
    def auxiliary(self) -> nn.Module:
        return Heads()


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.idle = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, backbone: nn.Module, restored: Restored, pair: Pair) -> dict[str, Tensor]:
        return {"head": (self.used(restored.images[0]) - pair.sharp).abs().mean()}


class NoCopy(Plain):
    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        raise RuntimeError("only once")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongShape, r"an output is \(2, 3, 37, 44\)"),
        (BareTensor, "Tensor instead of Restored"),
        (OnlyEvenSizes, "45×37 px"),
        (NotClamped, "in eval mode the output ranges from -"),
        (AlwaysClamped, "in training the output is clamped"),
        (NoGradient, "the final output gives no gradient to the input"),
        (IdleParameter, "no output depends on the trained idle.weight, idle.bias"),
        (Noisy, "two calls on the same image differ"),
        (Counting, "same torch seed differ"),
        (NotFinite, "not finite"),
        (NoDivisor, "divisor=None"),
        (NoLicence, "licence=''"),
        (HeadLeftOut, "no loss of the auxiliary heads depends on their idle.weight"),
        (NoCopy, "cannot be copied.*only once"),
    ],
)
def test_backbone_violations_are_found(broken: type[Plain], message: str) -> None:
    assert_is_backbone(Plain())
    with pytest.raises(AssertionError, match=message):
        assert_is_backbone(broken())


def test_errors_of_the_wrapper_are_reported() -> None:
    broken = Backbone(nn.Conv2d(3, 3, 3), divisor=1, licence="none", name="shrinks")
    with pytest.raises(AssertionError, match="shrinks returned"):
        assert_is_backbone(broken)


class Reversed(GaussNewton):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return -super().estimate(first, second)


class Drifting(GaussNewton):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return super().estimate(first, second) + 0.3


class Small(GaussNewton):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return super().estimate(first, second)[..., ::2, ::2]


class Random(GaussNewton):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.rand(len(first), 2, *first.shape[-2:])


class Unsteady(GaussNewton):
    calls = 0

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.calls += 1
        return super().estimate(first, second) + 1e-6 * self.calls


class Trained(GaussNewton):
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return super().__call__(first, second) + first[:, :2] * 0


class Overwriting(GaussNewton):
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        found = super().__call__(first, second)
        first.data.mul_(0.5)
        return found


class Copied(GaussNewton):
    def __deepcopy__(self, memo: dict[int, Any]) -> FlowEstimator:
        return Copied()


class Half(GaussNewton):
    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        return super().__call__(first, second).half()


class AModule(nn.Module):
    uses_truth, licence = False, "none"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Reversed, r"\(-3\.\d+, 2\.\d+\) px found|\(-2\.\d+, [12]\.\d+\) px found"),
        (Drifting, "equal images give a flow of 0.42 px"),
        (Small, r"flow \(2, 2, 67, 81\)"),
        (Random, "random state"),
        (Unsteady, "two calls on the same images differ"),
        (Trained, "the flow has a gradient"),
        (Overwriting, "changes its images"),
        (Copied, "a deep copy of the estimator is another object"),
        (Half, "flow in torch.float16"),
        (AModule, "is a torch.nn.Module"),
    ],
)
def test_flow_violations_are_found(broken: type, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        assert_is_flow(broken())


class Honest(Supervised):
    """A valid objective with its own head; each subclass violates the contract in one way."""

    def __init__(self) -> None:
        super().__init__("l1")
        self.head = nn.Conv2d(3, 3, 1)

    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        image = restored.images[0]
        terms = {"pixel": (image + self.head(image) - pair.sharp).abs().mean()}
        return Losses(self.weigh(terms, stage), terms, {"mask": torch.ones_like(pair.sharp[:, :1])})


class LiesIdle(Honest):
    find_unused_parameters = True


class LiesBusy(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)


class NoGradientOut(Honest):
    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        detached = Restored(tuple(image.detach() for image in restored.images), {})
        return super().forward(detached, pair, stage)


class NotFrozen(Honest):
    def __init__(self) -> None:
        super().__init__()
        frozen = Stage("alone", 0, weights={"pixel": 1.0}, frozen=("backbone",))
        self.schedule = Schedule((frozen, Stage("joint", 1, weights={"pixel": 1.0})))


class WrongTotal(Honest):
    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        losses = super().forward(restored, pair, stage)
        return losses._replace(total=2 * losses.total)


class OtherTerms(Honest):
    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        losses = super().forward(restored, pair, stage)
        return losses._replace(terms={**losses.terms, "more": losses.total})


class GraphInMaps(Honest):
    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        return super().forward(restored, pair, stage)._replace(maps={"aligned": restored.images[0]})


class SmallMap(Honest):
    def forward(self, restored: Restored, pair: Pair, stage: Stage) -> Losses:
        return super().forward(restored, pair, stage)._replace(maps={"mask": pair.sharp[..., ::2]})


class NoSchedule(nn.Module):
    pass


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LiesIdle, "find_unused_parameters is True, but every stage"),
        (LiesBusy, "find_unused_parameters is False, but stage 'supervised' leaves idle.weight, idle.bias"),
        (NoGradientOut, "no stage gives the restored image a gradient"),
        (NotFrozen, "stage 'alone' freezes the backbone"),
        (WrongTotal, "not the weighted sum"),
        (OtherTerms, r"weighs the terms \['pixel'\], but gets \['more', 'pixel'\]"),
        (GraphInMaps, "the map 'aligned' keeps the graph alive"),
        (SmallMap, r"the map 'mask' is \(2, 3, 41, 27\)"),
        (NoSchedule, "is not a Schedule"),
    ],
)
def test_objective_violations_are_found(broken: type[nn.Module], message: str) -> None:
    assert_is_objective(Honest())
    with pytest.raises(AssertionError, match=message):
        assert_is_objective(broken())


def test_a_stage_with_only_a_detached_term_leaves_the_backbone_unused() -> None:
    stages = [
        {"name": "alone", "start": 0, "flow_source": "none", "weights": {"reblur": 1.0}, "detach_reblur": True},
        {"name": "joint", "start": 1, "weights": {"align": 1.0, "reblur": 0.5}},
    ]
    objective = objectives.create("jdrl", flow={"name": "none"}, reblur={"width": 4}, schedule=stages)
    assert objective.find_unused_parameters
    assert_is_objective(objective)
