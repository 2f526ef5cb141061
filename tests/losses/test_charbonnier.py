from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning.losses.charbonnier import charbonnier_loss


@pytest.fixture
def images() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    restored, target = torch.rand(2, 2, 3, 5, 7, generator=generator, dtype=torch.float64)
    mask = (torch.rand(2, 1, 5, 7, generator=generator) > 0.4).double()
    return restored, target, mask


def test_mean_equals_numpy(images: tuple[torch.Tensor, ...]) -> None:
    restored, target, mask = images
    r, t, m = (x.numpy() for x in images)
    assert charbonnier_loss(restored, target).item() == pytest.approx(np.sqrt((r - t) ** 2 + 1e-6).mean())
    expected = np.sqrt((m * (r - t)) ** 2 + 1e-6).mean()
    assert charbonnier_loss(restored, target, mask).item() == pytest.approx(expected)


def test_rejected_pixels_add_eps_to_the_mean_only(images: tuple[torch.Tensor, ...]) -> None:
    restored, target, mask = images
    nothing = torch.zeros_like(mask)
    assert charbonnier_loss(restored, target, nothing, eps=0.01).item() == pytest.approx(0.01)
    assert charbonnier_loss(restored, target, nothing, eps=0.01, reduction="masked_mean").item() == 0


def test_masked_mean_is_the_mean_over_kept_elements(images: tuple[torch.Tensor, ...]) -> None:
    restored, target, mask = images
    loss = charbonnier_loss(restored, target, mask, reduction="masked_mean")
    per_image = []
    for r, t, m in zip(restored, target, mask, strict=True):
        kept = m[0] == 1
        per_image.append(((r - t)[:, kept] ** 2 + 1e-6).sqrt().mean())
    torch.testing.assert_close(loss, torch.stack(per_image).mean())


def test_masked_mean_does_not_depend_on_the_split_of_a_batch(images: tuple[torch.Tensor, ...]) -> None:
    parts = [charbonnier_loss(*(x[i : i + 1] for x in images), reduction="masked_mean") for i in range(2)]
    torch.testing.assert_close(charbonnier_loss(*images, reduction="masked_mean"), torch.stack(parts).mean())


def test_few_kept_pixels_do_not_weigh_as_a_whole_image() -> None:
    restored, target = torch.full((1, 3, 10, 10), 0.5), torch.zeros(1, 3, 10, 10)
    mask = torch.zeros(1, 1, 10, 10)
    mask[..., 0, :5] = 1  # 5 % kept, the floor is 10 %
    loss = charbonnier_loss(restored, target, mask, eps=0.0, reduction="masked_mean")
    assert loss.item() == pytest.approx(0.25)
    mask[..., 0, :] = 1
    assert charbonnier_loss(restored, target, mask, eps=0.0, reduction="masked_mean").item() == pytest.approx(0.5)


@pytest.mark.parametrize("reduction", ["mean", "masked_mean"])
def test_gradcheck(images: tuple[torch.Tensor, ...], reduction: str) -> None:
    restored, target, mask = images
    restored.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda r, t: charbonnier_loss(r, t, mask, eps=0.05, reduction=reduction), (restored, target)
    )


@pytest.mark.parametrize("reduction", ["mean", "masked_mean"])
def test_gradient_is_finite_where_images_agree_and_zero_where_rejected(reduction: str) -> None:
    restored = torch.rand(1, 3, 4, 4)
    target = restored.clone()
    target[..., 2:, :] += 0.3
    restored.requires_grad_()
    mask = torch.ones(1, 1, 4, 4)
    mask[..., 3, :] = 0
    charbonnier_loss(restored, target, mask, reduction=reduction).backward()
    assert restored.grad is not None
    assert (restored.grad[..., :2, :] == 0).all()
    assert (restored.grad[..., 2, :] < 0).all()
    assert (restored.grad[..., 3, :] == 0).all()


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="reduction='sum'"):
        charbonnier_loss(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), reduction="sum")
    with pytest.raises(ValueError, match="differ in shape"):
        charbonnier_loss(torch.rand(1, 3, 4, 4), torch.rand(1, 1, 4, 4))
