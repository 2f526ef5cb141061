from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning.losses.shift_search import best_shift, shift_search_loss


def brute_force(restored: np.ndarray, target: np.ndarray, reach: int, eps: float) -> tuple[float, tuple[int, int]]:
    """The smallest loss of one image and its shift, pixel by pixel of the interior."""
    _, height, width = restored.shape
    found = {}
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            terms = [
                np.sqrt((restored[:, y, x] - target[:, y + dy, x + dx]) ** 2 + eps**2)
                for y in range(reach, height - reach)
                for x in range(reach, width - reach)
            ]
            found[dx, dy] = float(np.mean(terms))
    shift = min(found, key=found.__getitem__)
    return found[shift], shift


def test_equals_brute_force_image_by_image() -> None:
    generator = torch.Generator().manual_seed(0)
    restored, target = torch.rand(2, 3, 3, 9, 11, generator=generator, dtype=torch.float64)
    each = [brute_force(r.numpy(), t.numpy(), 2, 0.01) for r, t in zip(restored, target, strict=True)]
    loss = shift_search_loss(restored, target, reach_px=2, eps=0.01)
    assert loss.item() == pytest.approx(np.mean([value for value, _ in each]))
    assert best_shift(restored, target, 2, 0.01).tolist() == [list(shift) for _, shift in each]
    assert len({shift for _, shift in each}) > 1


@pytest.mark.parametrize(("dx", "dy"), [(6, -6), (-1, 4), (0, 0)])
def test_a_purely_shifted_pair_costs_nothing(photo: torch.Tensor, dx: int, dy: int) -> None:
    scene = photo[None].double() / 255
    target, restored = scene[..., 100:148, 200:250], scene[..., 100 + dy : 148 + dy, 200 + dx : 250 + dx].clone()
    assert best_shift(restored, target).tolist() == [[dx, dy]]
    restored.requires_grad_()
    loss = shift_search_loss(restored, target)
    assert loss.item() == pytest.approx(1e-3)  # eps is all that is left
    loss.backward()
    assert restored.grad is not None
    assert not restored.grad.any()


def test_a_shift_beyond_the_reach_costs(photo: torch.Tensor) -> None:
    scene = photo[None].float() / 255
    assert shift_search_loss(scene[..., 107:155, 200:250], scene[..., 100:148, 200:250]) > 0.01


def test_gradcheck() -> None:
    generator = torch.Generator().manual_seed(1)
    restored, target = torch.rand(2, 2, 1, 6, 7, generator=generator, dtype=torch.float64)
    restored.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(lambda r, t: shift_search_loss(r, t, reach_px=1, eps=0.05), (restored, target))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        shift_search_loss(torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 21))
    with pytest.raises(ValueError, match="6 px from every border"):
        shift_search_loss(torch.rand(1, 3, 12, 20), torch.rand(1, 3, 12, 20))
