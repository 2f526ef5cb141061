"""JDRL's losses against the paper's equations, written out with loops and kornia's sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kornia.geometry.transform import remap
from torch import Tensor

from jdrl_lightning import Pair, Restored, UserError, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.objectives import JDRL, Schedule, Stage

EPS = 1e-3
SMALL = {"levels": 3, "width": 4}


class Fixed(FlowEstimator):
    """Returns the given flows, and records its inputs."""

    def __init__(self, there: Tensor, back: Tensor) -> None:
        self.flows = torch.cat([there, back])
        self.inputs: list[tuple[Tensor, Tensor]] = []

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        self.inputs.append((first.clone(), second.clone()))
        return self.flows.repeat(len(first) // len(self.flows), 1, 1, 1)


@pytest.fixture
def batch() -> tuple[Pair, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    blurry, sharp, restored = (torch.rand(2, 3, 24, 20, generator=draw) for _ in range(3))
    there = 2 + torch.randn(2, 2, 24, 20, generator=draw)
    back = -2 + torch.randn(2, 2, 24, 20, generator=draw)
    return Pair(blurry, sharp, ["a", "b"], {}), restored.requires_grad_(), there, back


def kornia_warp(image: Tensor, flow: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    map_x, map_y = x + flow[:, 0], y + flow[:, 1]
    return remap(image, map_x, map_y, padding_mode="border", align_corners=True)


def inside(flow: Tensor) -> Tensor:
    height, width = flow.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    px, py = x + flow[:, 0], y + flow[:, 1]
    return ((px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1))[:, None].float()


def paper_mask(flow: Tensor, lam: float) -> Tensor:
    kept = torch.zeros(len(flow), 1, *flow.shape[-2:])
    for b, one in enumerate(flow):
        magnitude = (one[0] ** 2 + one[1] ** 2).sqrt()
        mean = magnitude.mean()
        kept[b, 0] = ((1 - lam) * mean < magnitude) & (magnitude < (1 + lam) * mean)
    return kept


def charbonnier(difference: Tensor) -> Tensor:
    return (difference**2 + EPS**2).sqrt().mean()


def test_what_is_not_valid_in_the_sharp_image_is_masked_wherever_the_flow_takes_it(batch: Any) -> None:
    pair, restored, there, back = batch
    valid = torch.ones(2, 1, 24, 20)
    valid[..., :9, :] = 0
    pair = pair._replace(extras={"valid": valid})
    for mask in ("magnitude", "none"):
        objective = objectives.create("jdrl", flow=Fixed(there, back), reblur=SMALL, mask=mask)
        losses = objective(Restored((restored,), {}), pair, objective.schedule.at(0))
        seen = kornia_warp(valid, there) > 0.99  # of a pixel that is half valid nothing is taken
        assert not losses.maps["mask"][~seen].any()
        expected = paper_mask(there, 0.35) if mask == "magnitude" else 1.0
        kept, kept_back = expected * inside(there) * seen, inside(back) * valid
        if mask == "magnitude":
            kept_back = kept_back * paper_mask(back, 0.35)
        aligned, moved = kornia_warp(pair.sharp, there), kornia_warp(restored, back)
        torch.testing.assert_close(losses.terms["align"], charbonnier(kept * (restored - aligned)))
        torch.testing.assert_close(losses.terms["align_back"], charbonnier(kept_back * (moved - pair.sharp)))


def test_the_paper_preset_is_equations_1_to_5_and_10(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = objectives.create("jdrl", flow=Fixed(there, back), lam=0.3, alpha=0.7, reblur=SMALL)
    losses = objective(Restored((restored,), {}), pair, objective.schedule.at(15))

    mask, mask_back = paper_mask(there, 0.3) * inside(there), paper_mask(back, 0.3) * inside(back)
    assert 0 < mask.mean() < 1
    align = charbonnier(mask * (kornia_warp(pair.sharp, there) - restored))
    align_back = charbonnier(mask_back * (kornia_warp(restored, back) - pair.sharp))
    reblur = charbonnier(pair.blurry - objective.reblur(restored, pair.blurry))
    torch.testing.assert_close(losses.terms["align"], align, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.terms["align_back"], align_back, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.terms["reblur"], reblur)
    torch.testing.assert_close(losses.total, align + align_back + 0.7 * reblur, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses.maps["mask"], mask)


def test_the_official_warmup_is_one_unmasked_term_on_the_half_pixel_grid(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = objectives.create("jdrl_official", flow=Fixed(there, back), reblur=SMALL)
    losses = objective(Restored((restored,), {}), pair, objective.schedule.at(14))

    height, width = there.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    legacy_x = (x + there[:, 0]) * width / (width - 1) - 0.5
    legacy_y = (y + there[:, 1]) * height / (height - 1) - 0.5
    aligned = remap(pair.sharp, legacy_x, legacy_y, padding_mode="border", align_corners=True)
    torch.testing.assert_close(losses.total, charbonnier(aligned - restored), rtol=1e-4, atol=1e-5)
    assert set(losses.terms) == {"align"}


def test_the_official_joint_stage_has_all_terms_and_masks_by_colour(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = objectives.create("jdrl_official", flow=Fixed(there, back), reblur=SMALL)
    losses = objective(Restored((restored,), {}), pair, objective.schedule.at(15))
    total = losses.terms["align"] + losses.terms["align_back"] + 0.5 * losses.terms["reblur"]
    torch.testing.assert_close(losses.total, total)
    assert not torch.equal(losses.maps["mask"], paper_mask(there, 0.35))


def test_the_warmup_measures_flow_on_the_blurry_image_and_the_joint_stage_on_the_output(batch: Any) -> None:
    pair, restored, there, back = batch
    flow = Fixed(there, back)
    objective = objectives.create("jdrl", flow=flow, reblur=SMALL)
    for epoch, placed in ((14, pair.blurry), (15, restored.detach())):
        objective(Restored((restored,), {}), pair, objective.schedule.at(epoch))
        first, second = flow.inputs.pop()
        torch.testing.assert_close(first, torch.cat([placed, pair.sharp]))
        torch.testing.assert_close(second, torch.cat([pair.sharp, placed]))
        assert not first.requires_grad


def test_gradients_go_where_the_published_code_lets_them(batch: Any) -> None:
    pair, restored, there, back = batch

    def reaches(term: str, **settings: Any) -> tuple[bool, bool]:
        stage = Stage("one", 0, "restored", {term: 1.0})
        objective = JDRL(
            Fixed(there, back), SMALL, Schedule((stage, Stage("x", 1, weights={"reblur": 1.0}))), **settings
        )
        out = restored.detach().requires_grad_()
        objective(Restored((out,), {}), pair, stage).total.backward()
        assert objective.reblur is not None
        trained = all(p.grad is not None for p in objective.reblur.parameters())
        return out.grad is not None and bool(out.grad.abs().sum() > 0), trained

    assert reaches("align") == (True, False)
    assert reaches("align_back") == (True, False)
    assert reaches("reblur") == (True, True)


def test_the_output_is_not_detached_as_the_reblurring_networks_input(batch: Any) -> None:
    """Its gradient differs from the one through the reblurred image only."""
    pair, restored, there, back = batch
    objective = objectives.create("jdrl", flow=Fixed(there, back), reblur=SMALL)
    assert objective.reblur is not None
    stage = Stage("r", 0, "none", {"reblur": 1.0})
    objective(Restored((restored,), {}), pair, stage).total.backward()
    with torch.no_grad():
        seeds, weights = objective.reblur.seeds_and_weights(restored, pair.blurry)
    from jdrl_lightning.reblur.operator import reblur

    alone = restored.detach().requires_grad_()
    charbonnier(reblur(alone, seeds, weights, levels=3) - pair.blurry).backward()
    assert restored.grad is not None
    assert alone.grad is not None
    assert (restored.grad - alone.grad).abs().max() > 1e-6


def test_a_detached_warmup_trains_the_reblurring_network_alone(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = objectives.create("jdrl", flow=Fixed(there, back), reblur=SMALL, warmup_reblur="detached", alpha=0.5)
    stage = Stage("d", 0, "none", {"reblur": 1.0}, detach_reblur=True)
    objective(Restored((restored,), {}), pair, stage).total.backward()
    assert restored.grad is None
    assert objective.reblur is not None
    assert all(p.grad is not None for p in objective.reblur.parameters())


def test_a_network_that_learns_from_the_sharp_image_holds_still_for_the_output(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = objectives.create("jdrl", flow=Fixed(there, back), reblur=SMALL, lam=0.3, reblur_learns_from="aligned")
    network = objective.reblur
    assert network is not None

    def trained_by(term: str) -> bool:
        network.zero_grad(set_to_none=True)
        losses = objective(Restored((restored,), {}), pair, objective.schedule.at(15))
        losses.terms[term].backward()
        return any(p.grad is not None for p in network.parameters())

    assert not trained_by("reblur")
    assert restored.grad is not None
    assert restored.grad.abs().sum() > 0
    restored.grad = None
    assert trained_by("reblur_sharp")
    assert restored.grad is None

    losses = objective(Restored((restored,), {}), pair, objective.schedule.at(15))
    mask, aligned = paper_mask(there, 0.3) * inside(there), kornia_warp(pair.sharp, there)
    expected = charbonnier(mask * (network(aligned, pair.blurry) - pair.blurry))
    torch.testing.assert_close(losses.terms["reblur_sharp"], expected, rtol=1e-5, atol=1e-6)
    with_its_kernels = network.blur(restored, *network.maps(aligned, pair.blurry))
    expected = charbonnier(mask * (with_its_kernels - pair.blurry))
    torch.testing.assert_close(losses.terms["reblur"], expected, rtol=1e-5, atol=1e-6)


def test_a_frozen_backbone_gets_no_gradient(batch: Any) -> None:
    pair, restored, there, back = batch
    stages = [{"name": "f", "start": 0, "frozen": ["backbone"], "weights": {"align": 1.0, "reblur": 1.0}}]
    objective = JDRL(Fixed(there, back), SMALL, stages)
    objective(Restored((restored,), {}), pair, objective.schedule.at(0)).total.backward()
    assert restored.grad is None
    assert objective.find_unused_parameters


def test_masked_mean_divides_by_the_kept_pixels(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = JDRL(Fixed(there, back), None, Schedule((Stage("a", 0),)), reduction="masked_mean")
    losses = objective(Restored((restored,), {}), pair, objective.schedule.at(0))
    mask = (paper_mask(there, 0.35) * inside(there)).expand_as(restored)
    difference = kornia_warp(pair.sharp, there) - restored
    kept = (mask * (difference**2 + EPS**2).sqrt()).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3))
    expected = kept.mean()  # each image separately, so that a batch can be split over devices
    torch.testing.assert_close(losses.total, expected, rtol=1e-4, atol=1e-5)


def test_an_affine_anchor_takes_the_affine_part_from_the_blurry_image(batch: Any) -> None:
    pair, restored, there, _ = batch

    class Drifted(FlowEstimator):
        """Correct for the blurry images; wrong for the outputs, differently in each direction."""

        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            flow = there.repeat(len(first) // 2, 1, 1, 1)
            outputs = restored.detach().clamp(0, 1)
            for i, images in enumerate(zip(first, second, strict=True)):
                for image, axis, px in zip(images, (0, 1), (1.0, -0.5), strict=True):
                    flow[i, axis] += px * any(torch.equal(image, output) for output in outputs)
            return flow

    objective = JDRL(Drifted(), None, Schedule((Stage("a", 0),)), anchor="affine")
    found, back = objective.flows(restored, pair, objective.schedule.at(0))
    torch.testing.assert_close(found, there, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(back, there, rtol=1e-4, atol=1e-4)


def test_flow_of_whole_pictures_is_taken_from_the_pair(batch: Any) -> None:
    pair, restored, there, back = batch
    estimator = Fixed(there + 1, back - 1)
    warmup, joint = Stage("warmup", 0, "blurry"), Stage("joint", 1)
    objective = JDRL(estimator, None, Schedule((warmup, joint)), anchor="affine", flow_of="picture")
    assert objective.picture_flow is estimator
    with pytest.raises(UserError, match=r"flow_of=picture needs pairs that carry their flow"):
        objective.flows(restored, pair, warmup)
    objective.eval()  # validation images carry none
    torch.testing.assert_close(objective.flows(restored, pair, warmup), (there + 1, back - 1))
    estimator.inputs.clear()
    objective.train()
    carrying = pair._replace(extras={"there": there, "back": back})
    assert objective.flows(restored, carrying, warmup) == (there, back)
    assert not estimator.inputs
    found = objective.flows(restored, carrying, joint)  # one pixel off the carried ones, which the anchor corrects
    for flow, expected in zip(found, (there, back), strict=True):
        torch.testing.assert_close(flow, expected, rtol=1e-4, atol=1e-4)
    assert len(estimator.inputs) == 1


def test_flow_is_measured_beforehand_only_where_a_stage_asks_for_it(batch: Any) -> None:
    _, _, there, back = batch
    flow, joint = Fixed(there, back), Schedule((Stage("joint", 0),))
    assert JDRL(flow, None, joint, flow_of="picture", anchor="affine").picture_flow is flow
    assert JDRL(flow, None, joint, anchor="affine").picture_flow is None
    assert objectives.create("charbonnier").picture_flow is None
    idle = Schedule((Stage("joint", 0), Stage("reblurring alone", 1, "blurry", {"reblur": 1.0})))
    for settings in (
        {"flow": flow},
        {"flow": {"name": "oracle"}, "anchor": "affine"},
        {"flow": flow, "schedule": idle},
    ):
        with pytest.raises(UserError, match="flow_of=crop"):
            JDRL(**{"reblur": SMALL, "schedule": joint, "flow_of": "picture"} | settings)


def test_several_outputs_are_summed_with_their_weights(batch: Any) -> None:
    pair, restored, there, back = batch
    objective = JDRL(Fixed(there, back), None, Schedule((Stage("a", 0),)), mask="none", output_weights=[1.0, 0.25])
    second, third = torch.rand_like(restored), torch.rand_like(restored)
    stage = objective.schedule.at(0)

    def align(*images: Tensor) -> Tensor:
        return objective(Restored(images, {}), pair, stage).terms["align"]

    single = JDRL(Fixed(there, back), None, Schedule((Stage("a", 0),)), mask="none")
    one = [single(Restored((image,), {}), pair, stage).terms["align"] for image in (restored, second, third)]
    torch.testing.assert_close(align(restored, second, third), one[0] + 0.25 * one[1] + 0.25 * one[2])


def test_oracle_needs_truth_and_uses_it(batch: Any) -> None:
    pair, restored, _, _ = batch
    objective = JDRL({"name": "oracle"}, None, Schedule((Stage("a", 0),)), mask="none")
    with pytest.raises(UserError, match="true flow"):
        objective(Restored((restored,), {}), pair, objective.schedule.at(0))
    truth = torch.full((2, 2, 24, 20), 3.0)
    known = pair._replace(extras={"flow": truth})
    losses = objective(Restored((restored,), {}), known, objective.schedule.at(0))
    torch.testing.assert_close(losses.maps["aligned"][..., :-3, :-3], pair.sharp[..., 3:, 3:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {"mask": "soft"},
        {"anchor": "rigid"},
        {"flow_of": "film"},
        {"lam": 1.5},
        {"reduction": "sum"},
        {"warp": "cubic"},
        {"reblur": None},
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], batch: Any) -> None:
    _, _, there, back = batch
    with pytest.raises(UserError, match="objective"):
        JDRL(Fixed(there, back), settings.pop("reblur", SMALL), **settings)


def test_ddp_knows_what_the_schedule_leaves_idle(batch: Any) -> None:
    _, _, there, back = batch
    flow = Fixed(there, back)
    assert not objectives.create("jdrl", flow=flow, reblur=SMALL).find_unused_parameters
    assert objectives.create("jdrl_official", flow=flow, reblur=SMALL).find_unused_parameters
    assert not objectives.create("charbonnier").find_unused_parameters
    assert objectives.create("jdrl", flow=flow, reblur=SMALL, alpha=0).reblur is None
    ours = objectives.create("jdrl", flow=flow, reblur=SMALL, reblur_learns_from="aligned", warmup_reblur="detached")
    assert not ours.find_unused_parameters
    alone = [{"name": "alone", "start": 0, "weights": {"reblur_sharp": 1.0}}]
    assert objectives.create("jdrl", flow=flow, reblur=SMALL, schedule=alone).find_unused_parameters
