from __future__ import annotations

from typing import Any

import pytest
import skimage.data
import torch
from torch import Tensor

from jdrl_lightning import DeblurringModule, Pair, Restored, UserError, backbones, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.objectives import JDRLMap
from jdrl_lightning.reblur.matching import matched_radius, reblurred
from jdrl_lightning.testing import assert_is_objective

CROPS: dict[str, Any] = {"reblur": {"levels": 3, "width": 4, "stride": 1}, "flow_of": "crop"}


class OnePixel(FlowEstimator):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        flow = torch.zeros_like(first[:, :2])
        flow[: len(first) // 2, 0], flow[len(first) // 2 :, 0] = 1, -1
        return flow


@pytest.fixture
def batch() -> tuple[Pair, Tensor]:
    blurry, sharp, restored = torch.rand(3, 2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    return Pair(blurry, sharp, ["a", "b"], {}), restored


def create(name: str, **settings: Any) -> JDRLMap:
    torch.manual_seed(0)
    made = objectives.create(name, flow=OnePixel(), **{**CROPS, "warmup_epochs": 3, **settings})
    assert isinstance(made, JDRLMap)
    return made


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_matched_radius_teaches_from_the_start_where_it_is_known(batch: tuple[Pair, Tensor], epoch: int) -> None:
    pair, restored = batch
    aligned = torch.cat([pair.sharp[..., 1:], pair.sharp[..., -1:]], dim=-1)
    pair = pair._replace(blurry=aligned)  # not blurred, and known to be so
    objective = create("jdrl_map", anchor="none", alpha=0.0)
    stage = objective.schedule.at(epoch)
    found = torch.rand(2, 1, 24, 24, requires_grad=True)
    losses = objective(Restored((restored,), {"map": found}), pair, stage)
    radius, known = matched_radius(losses.maps["aligned"], pair.blurry)
    kept = (known * losses.maps["mask"])[:, 0] > 0
    assert kept.float().mean() > 0.3
    label = radius / 10.5
    distances = ((found[..., :20, :] - label).square() + 0.2**2).sqrt()[:, 0]
    expected = torch.stack([distance[here].mean() for distance, here in zip(distances, kept, strict=True)]).mean()
    torch.testing.assert_close(losses.terms["map"], expected)
    (gradient,) = torch.autograd.grad(losses.total, found)
    assert (gradient[:, 0, :20][~kept] == 0).all()
    assert gradient.any()


def test_a_radius_that_the_pairs_carry_teaches_wherever_it_is_known(batch: tuple[Pair, Tensor]) -> None:
    pair, restored = batch
    radius = torch.rand(2, 1, 20, 24) * 9
    radius[1] = -1
    flow = torch.zeros(2, 2, 20, 24)
    pair = pair._replace(extras={"there": flow, "back": flow, "radius": radius})
    objective = create("jdrl_map", anchor="none", flow_of="picture")
    found = torch.rand(2, 1, 20, 24, requires_grad=True)
    losses = objective(Restored((restored,), {"map": found}), pair, objective.schedule.at(0))
    expected = ((found[0] - radius[0] / 10.5).square() + 0.2**2).sqrt().mean() / 2  # the second image adds nothing
    torch.testing.assert_close(losses.terms["map"], expected)
    (gradient,) = torch.autograd.grad(losses.total, found)
    assert gradient[0].all()
    assert not gradient[1].any()


def test_pairs_that_carry_flow_but_no_radius_are_refused_in_training(batch: tuple[Pair, Tensor]) -> None:
    flow, restored = torch.zeros(2, 2, 20, 24), Restored((batch[1],), {"map": torch.rand(2, 1, 20, 24)})
    pair = batch[0]._replace(extras={"there": flow, "back": flow})
    objective = create("jdrl_map", anchor="none", flow_of="picture")
    with pytest.raises(UserError, match=r"give .*WithFlow radius=objective\.picture_radius, or set flow_of=crop"):
        objective(restored, pair, objective.schedule.at(0))
    assert "map" in objective.eval()(restored, pair, objective.schedule.at(0)).terms


def test_a_colour_cast_hides_no_disc_from_an_objective_that_matches_colours() -> None:
    sharp = torch.from_numpy(skimage.data.astronaut()[:96, 150:246].copy()).permute(2, 0, 1)[None].float() / 255
    blurry = reblurred(sharp, torch.full((1, 1, 96, 96), 3.0)) * torch.tensor([0.7, 0.8, 0.9])[:, None, None]
    pair, zero = Pair(blurry, sharp, ["a"], {}), torch.zeros(1, 2, 96, 96)
    errors = []
    for match_color in (False, True):
        objective = objectives.create("jdrl_map", flow={"name": "none"}, flow_of="picture", match_color=match_color)
        errors.append(float((objective.picture_radius(pair, zero, zero) - 3).abs().mean()))
    assert errors[1] < min(0.3, errors[0])


def test_the_radius_is_measured_where_flow_is_and_the_pair_is_trusted(batch: tuple[Pair, Tensor]) -> None:
    assert create("jdrl_map").picture_radius is None  # flow_of=crop
    assert create("jdrl_map", map="radius", flow_of="picture").picture_radius is None
    assert create("jdrl_map", map_weight=0.0, flow_of="picture").picture_radius is None
    measure = create("jdrl_map", flow_of="picture").picture_radius
    assert measure is not None
    pair = Pair(batch[0].sharp, batch[0].sharp, ["a", "b"], {"valid": torch.ones(2, 1, 20, 24)})
    zero = torch.zeros(2, 2, 20, 24)
    pair.extras["valid"][1] = 0
    radius = measure(pair, zero, zero)
    assert radius.shape == (2, 1, 20, 24)
    assert (radius[0] >= 0).all()
    assert (radius[1] == -1).all()


def test_the_radius_is_that_of_the_aligned_image_where_the_mask_keeps_it(batch: tuple[Pair, Tensor]) -> None:
    pair, restored = batch
    objective = create("jdrl_map", map="radius", anchor="none")
    stage = objective.schedule.at(3)
    found = torch.rand(2, 1, 24, 24, requires_grad=True)  # of a padded image
    losses = objective(Restored((restored,), {"map": found}), pair, stage)
    assert objective.reblur is not None
    aligned = torch.cat([pair.sharp[..., 1:], pair.sharp[..., -1:]], dim=-1)
    label = objective.reblur.blur_radius(aligned, pair.blurry) / 7
    kept = ((found[..., :20, :] - label).square() + 1e-6).sqrt()[..., :-1]  # the last column's match is out of frame
    torch.testing.assert_close(losses.terms["map"], kept.mean())
    plain = objectives.create("jdrl_robust", flow=OnePixel(), anchor="none", **CROPS, warmup_epochs=3)
    plain.load_state_dict(objective.state_dict())
    without = plain(Restored((restored,), {}), pair, plain.schedule.at(3))
    torch.testing.assert_close(losses.total, without.total + losses.terms["map"] / 2)
    gradients = torch.autograd.grad(losses.terms["map"], [found, *objective.parameters()], allow_unused=True)
    assert gradients[0] is not None
    assert not any(gradient is not None for gradient in gradients[1:])  # detached


def test_seeds_are_those_of_the_output_and_not_detached(batch: tuple[Pair, Tensor]) -> None:
    pair, restored = batch
    objective = create("jdrl_map_official")
    found, restored = torch.rand(2, 5, 20, 24), restored.requires_grad_()
    losses = objective(Restored((restored,), {"map": found}), pair, objective.schedule.at(3))
    assert objective.reblur is not None
    seeds, _ = objective.reblur.seeds_and_weights(restored, pair.blurry)
    torch.testing.assert_close(losses.terms["map"], ((found - seeds).square() + 1e-6).sqrt().mean())
    assert objective.reblur.kpn is not None
    wanted = [restored, *objective.reblur.kpn.parameters()]
    assert all(g is not None for g in torch.autograd.grad(losses.terms["map"], wanted, allow_unused=True))


def test_the_published_warm_up_ramps_the_guide_and_has_no_map_term() -> None:
    objective = create("jdrl_map_official", warmup_epochs=15)
    warmup, joint = objective.schedule.stages
    assert (dict(warmup.weights), joint.start) == ({"align": 1.0}, 15)
    assert dict(joint.weights) == {"align": 1.0, "align_back": 1.0, "reblur": 0.5, "map": 0.5}
    strengths = [objective.guide_strength(epoch) for epoch in range(16)]
    assert strengths[0] == pytest.approx(0.0676)
    assert strengths[7] == pytest.approx(0.5338)
    assert strengths[14:] == [1.0, 1.0]
    assert strengths == sorted(strengths)
    for kind, weights in (("radius", [None, 0.5]), ("match", [0.5, 0.5])):
        ours = create("jdrl_map", map=kind, warmup_epochs=15)
        assert {ours.guide_strength(epoch) for epoch in range(16)} == {1.0}
        assert [stage.weights.get("map") for stage in ours.schedule.stages] == weights


def test_the_module_sets_the_strength_of_the_epoch(batch: tuple[Pair, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    of = {"name": "compact", "width": 4, "blocks": [1, 1]}
    backbone = backbones.create("guided", of=of, width=4, channels=5)
    module = DeblurringModule(backbone, create("jdrl_map_official"))
    for name in ("log", "log_dict"):
        monkeypatch.setattr(module, name, lambda *args, **kwargs: None)
    for epoch, strength in ((0, 0.334), (1, 0.667), (2, 1.0), (3, 1.0)):
        monkeypatch.setattr(DeblurringModule, "current_epoch", epoch)
        module.training_step(batch[0], 0)["loss"].backward()
        assert backbone.network.strength == pytest.approx(strength)


def test_the_label_of_an_attached_reblurring_network_is_the_outputs(batch: tuple[Pair, Tensor]) -> None:
    pair, restored = batch
    objective = create("jdrl_map", map="radius", reblur_learns_from="restored", warmup_reblur="attached")
    found = torch.rand(2, 1, 20, 24)
    term = objective(Restored((restored,), {"map": found}), pair, objective.schedule.at(3)).terms["map"]
    assert objective.reblur is not None
    label = objective.reblur.blur_radius(restored, pair.blurry) / 7
    torch.testing.assert_close(term, ((found - label).square() + 1e-6).sqrt().mean())


def test_stages_can_be_listed(batch: tuple[Pair, Tensor]) -> None:
    stages = [
        {"name": "alone", "start": 0, "weights": {"reblur": 1.0, "map": 1.0}, "frozen": ["backbone"]},
        {"name": "joint", "start": 1, "weights": {"align": 1.0, "reblur": 0.5, "map": 0.25}},
    ]
    objective = create("jdrl_map_official", schedule=stages)
    assert [stage.weights["map"] for stage in objective.schedule.stages] == [1.0, 0.25]
    assert_is_objective(objective)
    pair, restored = batch
    found = torch.rand(2, 5, 20, 24, requires_grad=True)
    alone = objective(Restored((restored,), {"map": found}), pair, objective.schedule.at(0))
    assert torch.autograd.grad(alone.total, found, allow_unused=True) == (None,)


def test_a_network_without_the_map_is_refused_in_one_line(batch: tuple[Pair, Tensor]) -> None:
    pair, restored = batch
    objective = create("jdrl_map_official")
    warmup, stage = objective.schedule.stages
    for aux, seen in (({}, "no map"), ({"map": torch.rand(2, 1, 20, 24)}, "a map of 1 channels")):
        for early in (warmup, stage):  # at the first step, not when it is needed
            with pytest.raises(UserError, match=f"which has {seen}: set backbone=guided backbone.channels=5"):
                objective(Restored((restored,), aux), pair, early)
    objective.eval()  # panels have no map
    assert "map" not in objective(Restored((restored,), {}), pair, stage).terms


def test_wrong_settings_are_named() -> None:
    for settings, message in (
        ({"map": "depth"}, r"objective\.map='depth' is not one of match, radius, seeds"),
        ({"map": "radius", "reblur": {"kernel": "free"}}, "needs a stage with reblurring, by isotropic kernels"),
        ({"map": "seeds", "alpha": 0.0}, "map=seeds needs a stage with reblurring"),
    ):
        with pytest.raises(UserError, match=message):
            create("jdrl_map", **settings)
