"""The perceptual term, with random weights: LPIPS, which has a test of its own, and torchvision's VGG."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor

from jdrl_lightning import Pair, Restored, UserError, build, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.metrics.perceptual import lpips
from jdrl_lightning.objectives.perceptual import Perceptual
from jdrl_lightning.registry import made_from
from jdrl_lightning.testing import assert_is_objective


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("weights")
    vgg = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10])
    for name, trunk in (("alexnet", torchvision.models.AlexNet().features), ("vgg", vgg)):
        state = {f"features.{key}": value for key, value in trunk.state_dict().items()}
        torch.save(state, folder / f"{name}.pth")
        torch.save({key: 0 * value for key, value in state.items()}, folder / f"{name}_of_zeros.pth")
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture
def batch() -> tuple[Tensor, Tensor, Pair]:
    first, second, sharp = torch.rand(3, 2, 3, 40, 44, generator=torch.Generator().manual_seed(0))
    return first, second, Pair(first, sharp, ["a", "b"], {})


def with_torchvision(file: Path, image: Tensor, target: Tensor) -> Tensor:
    trunk = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["E"][:10]).eval()
    trunk.load_state_dict({key.removeprefix("features."): v for key, v in torch.load(file).items()})
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    ours, theirs = (trunk((x - mean[:, None, None]) / std[:, None, None]) for x in (image, target))
    return (ours - theirs).square().mean()


@pytest.mark.parametrize("kind", ["alexnet", "vgg"])
def test_the_term_of_each_output_is_added(
    kind: str, batch: tuple[Tensor, Tensor, Pair], files: dict[str, Path]
) -> None:
    first, second, pair = batch
    settings: dict[str, Any] = {"perceptual_weight": 0.25, "perceptual_file": str(files[kind])}
    plain, objective = (objectives.create("l1", output_weights=[1, 0.5], **more) for more in ({}, settings))
    restored, (stage,) = Restored((first.requires_grad_(), second), {}), objective.schedule.stages
    found = objective(restored, pair, stage)
    measure = {"vgg": lambda x: with_torchvision(files["vgg"], x, pair.sharp),
               "alexnet": lambda x: lpips(x, pair.sharp, files["alexnet"]).mean()}[kind]  # fmt: skip
    expected = measure(first) + 0.5 * measure(second)
    torch.testing.assert_close(found.terms["perceptual"], expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        found.total, plain(restored, pair, plain.schedule.at(0)).total + expected / 4, rtol=1e-4, atol=1e-5
    )
    (gradient,) = torch.autograd.grad(found.terms["perceptual"], first)
    assert gradient.isfinite().all()
    assert gradient.any()
    assert not list(objective.parameters())
    assert not objective.state_dict()
    assert deepcopy(objective).perceptual is objective.perceptual
    assert made_from(objective) == {"name": "l1", "output_weights": [1, 0.5], **settings}
    assert_is_objective(objective)


class ThreePixels(FlowEstimator):
    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.full_like(first[:, :2], 3.0)


def test_the_target_is_the_aligned_image_where_the_mask_keeps_it(
    batch: tuple[Tensor, Tensor, Pair], files: dict[str, Path]
) -> None:
    first, _, pair = batch
    objective = objectives.create(
        "jdrl", flow=ThreePixels(), reblur={"width": 4}, perceptual_weight=1.0, perceptual_file=files["alexnet"]
    )
    losses = objective(Restored((first,), {}), pair, objective.schedule.at(20))
    target = first.clone()
    target[..., :-3, :-3] = pair.sharp[..., 3:, 3:]  # in the frame; the flow is the same everywhere, so Eq. 4 keeps it
    torch.testing.assert_close(
        losses.terms["perceptual"], lpips(first, target, files["alexnet"]).mean(), rtol=1e-3, atol=1e-5
    )
    assert_is_objective(objective)


def test_what_is_not_valid_is_compared_with_the_output_itself(
    batch: tuple[Tensor, Tensor, Pair], files: dict[str, Path]
) -> None:
    first, _, pair = batch
    valid = torch.ones(2, 1, 40, 44)
    valid[..., :17] = 0
    objective = objectives.create("l1", perceptual_weight=1.0, perceptual_file=files["vgg"])
    found = objective(Restored((first,), {}), pair._replace(extras={"valid": valid}), objective.schedule.at(0))
    target = torch.cat([first[..., :17], pair.sharp[..., 17:]], dim=-1)
    expected = with_torchvision(files["vgg"], first, target)
    torch.testing.assert_close(found.terms["perceptual"], expected, rtol=1e-4, atol=1e-5)


def test_a_stage_that_freezes_the_backbone_has_no_such_term(files: dict[str, Path]) -> None:
    stages = [
        {"name": "alone", "start": 0, "flow_source": "none", "weights": {"reblur": 1.0}, "frozen": ["backbone"]},
        {"name": "joint", "start": 1, "weights": {"align": 1.0}},
    ]
    settings: dict[str, Any] = {"perceptual_weight": 0.5, "perceptual_file": files["vgg"], "schedule": stages}
    objective = objectives.create("jdrl", flow={"name": "none"}, reblur={"width": 4}, mask="none", **settings)
    assert [stage.weights.get("perceptual") for stage in objective.schedule.stages] == [None, 0.5]
    assert_is_objective(objective)


def test_features_of_zero_give_no_gradient_instead_of_nan(files: dict[str, Path]) -> None:
    image = torch.rand(1, 3, 40, 40, requires_grad=True)
    Perceptual(files["alexnet_of_zeros"]).distance(image, torch.rand(1, 3, 40, 40)).backward()
    assert image.grad is not None
    assert not image.grad.any()


def test_without_weight_nothing_is_loaded(tmp_path: Path) -> None:
    objective = objectives.create("l1", perceptual_weight=0.0, perceptual_file=str(tmp_path / "absent.pth"))
    assert objective.perceptual is None
    assert objective.schedule.terms == {"pixel"}


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.rand(8, 3, 3, 3)}, tmp_path / "other.pth")
    for file, message in (
        (None, r"perceptual_file is not set: give torchvision's alexnet-owt-7be5be79\.pth \(LPIPS\) or vgg19"),
        (tmp_path / "absent.pth", r"absent\.pth does not exist: .* or set objective\.perceptual_weight=0"),
        (tmp_path / "other.pth", r"other\.pth is neither AlexNet's nor VGG19's"),
    ):
        with pytest.raises(UserError, match=message) as error:
            objectives.create("l1", perceptual_weight=0.1, perceptual_file=file)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"objective\.perceptual_weight=-1 is negative"):
        objectives.create("l1", perceptual_weight=-1)


def test_restoring_does_not_need_the_file(tmp_path: Path, files: dict[str, Path]) -> None:
    file = tmp_path / "vgg.pth"
    file.write_bytes(files["vgg"].read_bytes())
    settings = {"name": "l1", "perceptual_weight": 0.5, "perceptual_file": str(file)}
    config = {"backbone": {"name": "unet", "width": 4}, "objective": settings, "seed": 0}
    module = build.module(config)
    torch.save({"state_dict": module.state_dict(), "jdrl_lightning": {"config": module.config}}, tmp_path / "a.ckpt")
    assert build.from_checkpoint(tmp_path / "a.ckpt").objective.perceptual is not None
    file.unlink()
    assert build.from_checkpoint(tmp_path / "a.ckpt").objective.perceptual is None
