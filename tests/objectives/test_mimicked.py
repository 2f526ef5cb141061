from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning import DeblurringModule, Pair, Restored, UserError, backbones, objectives
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.types import to_float


class Shift(FlowEstimator):
    """Flow of three pixels to the right from the first half of a batch to the second, and back."""

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        flow = torch.zeros_like(first[:, :2])
        flow[: len(first) // 2, 0], flow[len(first) // 2 :, 0] = 3, -3
        return flow


@pytest.fixture
def pair() -> Pair:
    blurry, sharp = torch.rand(2, 2, 3, 24, 28, generator=torch.Generator().manual_seed(0))
    return Pair(blurry, sharp, ["a", "b"], {"coc": torch.rand(2, 1, 24, 28)})


@pytest.mark.parametrize("mimic", ["reblur", "network"])
def test_the_terms_equal_numpys(mimic: str, pair: Pair) -> None:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"mimic": mimic, "reblur": {"levels": 3, "width": 4}, "width": 4, "eps": 1e-7}
    objective = objectives.create("mimicked", flow=Shift(), color_weight=0.5, **settings)
    (stage,) = objective.schedule.stages
    used, restored = objective.prepare(pair, stage), torch.rand(2, 3, 24, 28)
    losses = objective(Restored((restored,), {}), used, stage)
    made = objective.mimic(pair.sharp, pair.blurry).detach()
    assert torch.equal(used.blurry, made.clamp(0, 1))
    assert torch.equal(used.sharp, pair.sharp)
    assert "coc" not in used.extras  # the blur of the given input, in its place

    ours, moved = made.numpy()[..., 3:], pair.blurry.numpy()[..., :-3]  # where the flow stays inside the frame
    pixel = np.abs(restored.numpy() - pair.sharp.numpy()).mean()
    fit = np.abs(ours - moved).mean()
    cosine = (ours * moved).sum(1) / (np.linalg.norm(ours, axis=1) * np.linalg.norm(moved, axis=1))
    color = (1 - cosine).sum() / (2 * 24 * 28)
    found = {name: term.item() for name, term in losses.terms.items()}
    assert found == pytest.approx({"pixel": pixel, "mimic": fit, "color": color}, rel=1e-4)
    assert losses.total.item() == pytest.approx(pixel + fit + color / 2, rel=1e-4)


def test_what_is_not_valid_teaches_no_network(pair: Pair) -> None:
    valid = torch.ones(2, 1, 24, 28)
    valid[..., 9:, :] = 0
    objective = objectives.create("mimicked", flow=Shift(), reblur={"levels": 3, "width": 4}, eps=1e-7)
    (stage,) = objective.schedule.stages
    used = objective.prepare(pair._replace(extras={"valid": valid}), stage)
    losses = objective(Restored((torch.rand(2, 3, 24, 28),), {}), used, stage)
    ours, moved = losses.maps["reblurred"][..., :9, 3:], pair.blurry[..., :9, :-3]
    torch.testing.assert_close(losses.terms["mimic"], (ours - moved).abs().mean(), rtol=1e-4, atol=0)
    angles = 1 - torch.nn.functional.cosine_similarity(ours, moved, dim=1)
    torch.testing.assert_close(losses.terms["color"], angles.sum() / (2 * 24 * 28), rtol=1e-4, atol=0)


def test_each_network_learns_from_its_own_terms(pair: Pair) -> None:
    """The backbone from the sharp image alone: no gradient reaches the mimicking network through it."""
    network = backbones.create("unet", width=4)
    objective = objectives.create("mimicked", flow=Shift(), reblur={"levels": 3, "width": 4}, color_weight=0.0)
    (stage,) = objective.schedule.stages
    used = objective.prepare(pair, stage)
    terms = objective(network(used.blurry), used, stage).terms
    assert terms.keys() == {"pixel", "mimic"}
    ours, theirs = list(network.parameters()), list(objective.parameters())
    for term, trained, other in ((terms["pixel"], ours, theirs), (terms["mimic"], theirs, ours)):
        gradients = torch.autograd.grad(term, trained + other, allow_unused=True, retain_graph=True)
        assert all(gradient is not None for gradient in gradients[: len(trained)])
        assert all(gradient is None for gradient in gradients[len(trained) :])


def test_the_module_restores_the_prepared_image(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    module = DeblurringModule(
        backbones.create("compact", width=4, blocks=[1, 1]),
        objectives.create("mimicked", flow=Shift(), reblur={"levels": 3, "width": 4}),
    )
    monkeypatch.setattr(module, "log", lambda *args, **kwargs: None)
    monkeypatch.setattr(module, "log_dict", lambda *args, **kwargs: None)
    seen: list[Tensor] = []
    module.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    maps = module.training_step(pair, 0)["maps"]
    assert torch.equal(seen[0], maps["reblurred"].clamp(0, 1))
    with pytest.raises(UserError, match=r"objective=mimicked: restore pair\.blurry of pair = objective\.prepare"):
        module.objective(Restored((pair.blurry,), {}), pair, module.stage)
    module.objective.eval()  # panels show what it would train on
    assert module.objective(Restored((pair.blurry,), {}), pair, module.stage).maps.keys() == maps.keys()


def test_the_mimicked_image_comes_to_the_place_of_the_sharp_one(photo: Tensor) -> None:
    """The reblurring network learns the blur of a displaced image without learning its displacement."""
    torch.manual_seed(0)
    region = to_float(photo[None, :, 100:180, 150:230])
    sharp, aligned = region[..., 4:-4, 6:-2], region[..., 4:-4, 3:-5]  # aligned[p] = sharp[p + (-3, 0)]
    blurry = torch.nn.functional.avg_pool2d(aligned, 5, 1, 2, count_include_pad=False)
    in_place = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)

    class Known(FlowEstimator):
        def estimate(self, first: Tensor, second: Tensor) -> Tensor:
            return (
                torch.tensor([-3.0, 3.0]).view(2, 1, 1, 1) * torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
                + 0 * first[:, :2]
            )

    objective = objectives.create("mimicked", flow=Known(), reblur={"levels": 4, "width": 8})
    (stage,) = objective.schedule.stages
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    pair = Pair(blurry, sharp, ["a"], {})
    for _ in range(40):
        used = objective.prepare(pair, stage)
        optimizer.zero_grad()
        objective(Restored((used.blurry,), {}), used, stage).total.backward()
        optimizer.step()
    inner = (..., slice(8, -8), slice(8, -8))
    made = objective.prepare(pair, stage).blurry
    error, untouched = ((image - in_place)[inner].abs().mean() for image in (made, sharp))
    assert error < 0.5 * untouched


def test_wrong_settings_are_named() -> None:
    for settings, message in (
        ({"mimic": "gan"}, r"objective\.mimic='gan' is not one of reblur, network"),
        ({"mimic": "network", "width": 0}, r"objective\.width=0 must be at least 1"),
    ):
        with pytest.raises(UserError, match=message):
            objectives.create("mimicked", flow={"name": "none"}, **settings)


def test_a_run_of_the_command(train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(tmp_path, "objective=mimicked", "trainer.max_epochs=1", "callbacks.panels.every_n_epochs=1")
    assert list((run / "panels").glob("*.png"))
