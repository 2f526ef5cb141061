from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch.nn import functional as F

from jdrl_lightning import Pair, Restored, UserError, flow, metrics, objectives


def test_the_pixel_losses_are_what_their_names_say() -> None:
    image, sharp = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    expected = {
        "charbonnier": ((image - sharp) ** 2 + 1e-6).sqrt().mean(),
        "l1": F.l1_loss(image, sharp),
        "mse": F.mse_loss(image, sharp),
        "psnr": -metrics.psnr(image, sharp).mean(),
    }
    for name, value in expected.items():
        objective = objectives.create(name)
        losses = objective(Restored((image,), {}), Pair(image, sharp, ["a", "b"], {}), objective.schedule.at(3))
        torch.testing.assert_close(losses.total, value)


def test_the_target_is_the_given_image_or_the_truth() -> None:
    image, sharp, aligned = torch.rand(3, 1, 3, 8, 8).unbind(0)
    pair = Pair(image, sharp, ["a"], {"aligned": aligned})
    for target, expected in (("sharp", sharp), ("aligned", aligned)):
        objective = objectives.create("l1", target=target)
        losses = objective(Restored((image,), {}), pair, objective.schedule.at(0))
        torch.testing.assert_close(losses.total, F.l1_loss(image, expected))
    with pytest.raises(UserError, match="sharp, aligned"):
        objectives.create("l1", target="true")


@pytest.mark.parametrize(
    "name", ["charbonnier", "l1", "mse", "psnr", "shift_search", "contextual", "cobi", "fdl", "mimicked"]
)
def test_what_is_not_valid_does_not_count(name: str) -> None:
    image, sharp = torch.rand(2, 3, 24, 24, requires_grad=True), torch.rand(2, 3, 24, 24)
    valid = (torch.rand(2, 1, 24, 24) > 0.4).float()
    settings = {"flow": flow.create("none"), "reblur": {"width": 4}} if name == "mimicked" else {}
    objective = objectives.create(name, **settings)
    stage = objective.schedule.at(0)
    wrong = torch.where(valid.bool(), sharp, torch.rand(2, 3, 24, 24))
    terms = []
    for target in (sharp, wrong):
        pair = objective.prepare(Pair(image.detach(), target, ["a", "b"], {"valid": valid}), stage)
        found = objective(Restored((image,), {}), pair, stage).terms
        terms.append(sum(found[term] for term in found if term not in ("mimic", "color")))  # of the mimicked image
    assert torch.equal(*terms)
    terms[0].backward()
    assert image.grad is not None
    assert not image.grad[(valid == 0).expand_as(image)].any()
    assert image.grad[(valid == 1).expand_as(image)].any()


def test_mprnets_recipe_adds_the_edges_of_every_output() -> None:
    """The Laplacian written out: blur, every second pixel times four, blur; scipy's correlation."""
    generator = torch.Generator().manual_seed(0)
    images = tuple(torch.rand(1, 3, 12, 10, generator=generator) for _ in range(3))
    sharp = torch.rand(1, 3, 12, 10, generator=generator)

    def blur(image: np.ndarray) -> np.ndarray:
        for axis in (-1, -2):
            image = correlate1d(image, [0.05, 0.25, 0.4, 0.25, 0.05], axis=axis, mode="nearest")
        return image

    expected = 0.0
    for image in images:
        difference = (image - sharp).double().numpy()
        coarse = np.zeros_like(difference)
        coarse[..., ::2, ::2] = 4 * blur(difference)[..., ::2, ::2]
        edges = difference - blur(coarse)
        expected += np.sqrt(difference**2 + 1e-6).mean() + 0.05 * np.sqrt(edges**2 + 1e-6).mean()
    objective = objectives.create("charbonnier", edge_weight=0.05, output_weights=[1.0, 1.0, 1.0])
    losses = objective(Restored(images, {}), Pair(sharp, sharp, ["a"], {}), objective.schedule.at(0))
    assert losses.total.item() == pytest.approx(expected, rel=1e-5)


def test_unknown_names_and_settings_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="jdrl_robust"):
        objectives.create("jdlr")
    with pytest.raises(UserError, match="charbonnier"):
        objectives.create("charbonnier", lam=0.3)
