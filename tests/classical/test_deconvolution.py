from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.classical.deconvolution import blur, deconvolve, shrink
from jdrl_lightning.data.synthetic.defocus_psf import disc
from jdrl_lightning.metrics import psnr


def _roots(v: float, alpha: float, beta: float) -> float:
    """The paper's closed form: the real roots of its cubic (1/2) or quartic (2/3) and 0, whichever costs least."""
    if alpha == 0.5:
        polynomial = [1, -2 * v, v * v, -1 / (4 * beta**2)]
    else:
        polynomial = [1, -3 * v, 3 * v * v, -(v**3), 8 / (27 * beta**3)]
    candidates = [0.0] + [root.real for root in np.roots(polynomial) if abs(root.imag) < 1e-7 and 0 < root.real <= v]
    return min(candidates, key=lambda w: w**alpha + beta / 2 * (w - v) ** 2)


@pytest.mark.parametrize("alpha", [0.5, 2 / 3])
@pytest.mark.parametrize("beta", [1.0, 2 * math.sqrt(2), 256.0])
def test_the_table_is_the_closed_form(alpha: float, beta: float) -> None:
    gradient = torch.linspace(0.0013, 1.9, 151, dtype=torch.float64)
    expected = torch.tensor([_roots(float(v), alpha, beta) for v in gradient], dtype=torch.float64)
    assert 0 < int((expected == 0).sum()) < len(expected)  # both sides of the threshold are there
    torch.testing.assert_close(shrink(gradient, alpha, beta), expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(shrink(-gradient, alpha, beta), -expected, rtol=0, atol=2e-5)


def test_soft_thresholding_at_exponent_one() -> None:
    gradient = torch.linspace(-3, 3, 601, dtype=torch.float64)
    expected = gradient.sign() * (gradient.abs() - 1 / 4).clamp_min(0)
    torch.testing.assert_close(shrink(gradient, 1.0, 4.0), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.2, 1.5, 1.9])
@pytest.mark.parametrize("beta", [0.5, 8.0])
def test_any_exponent_against_a_search(alpha: float, beta: float) -> None:
    gradient = torch.linspace(-1.99, 1.99, 83, dtype=torch.float64)
    w = torch.linspace(0, 2, 200_001, dtype=torch.float64)
    cost = w**alpha + beta / 2 * (w - gradient.abs()[:, None]) ** 2
    torch.testing.assert_close(shrink(gradient, alpha, beta), w[cost.argmin(1)].copysign(gradient), rtol=0, atol=6e-5)


def _cost(image: Tensor, blurry: Tensor, kernel: Tensor, weight: float, alpha: float) -> Tensor:
    """The objective, edges replicated."""
    residual = blur(image, kernel) - blurry
    dx, dy = image.diff(dim=-1), image.diff(dim=-2)
    smooth = sum((d.square() + 1e-12).pow(alpha / 2).sum() for d in (dx, dy))
    return weight / 2 * residual.square().sum() + smooth


@pytest.mark.parametrize(("weight", "alpha"), [(200.0, 1.5), (300.0, 1.2)])
def test_it_ends_near_what_a_direct_minimiser_finds(weight: float, alpha: float) -> None:
    """Convex exponents, where the minimum is one: LBFGS on the functional itself, 24×24 pixels in float64."""
    torch.manual_seed(0)
    sharp = torch.full((1, 1, 24, 24), 0.2, dtype=torch.float64)
    sharp[..., 6:18, 8:] = 0.8
    kernel = disc(1.5, 5)
    blurry = blur(sharp, kernel) + 0.01 * torch.randn_like(sharp)
    found = blurry.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([found], max_iter=200, history_size=30, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _cost(found, blurry, kernel, weight, alpha)
        loss.backward()
        return loss

    optimizer.step(closure)
    restored = deconvolve(blurry, kernel, weight, alpha)
    least, ours, start = (float(_cost(x, blurry, kernel, weight, alpha)) for x in (found.detach(), restored, blurry))
    assert least <= ours < least + 0.1 * (start - least)
    inside = (..., slice(4, -4), slice(4, -4))
    apart = (restored - found.detach())[inside].square().mean().sqrt()
    assert apart < 0.3 * (blurry - found.detach())[inside].square().mean().sqrt()


@pytest.mark.parametrize(("radius", "gain"), [(1.5, 3.0), (4.0, 2.0)])
def test_a_blurred_photograph_gains_clearly(photo: Tensor, radius: float, gain: float) -> None:
    torch.manual_seed(0)
    sharp = photo[None].float() / 255
    kernel = disc(radius, 2 * math.ceil(radius) + 1)
    cut = (..., slice(40, 200), slice(150, 330))  # a part, blurred by what lies around it too
    blurry = (blur(sharp, kernel) + 0.004 * torch.randn_like(sharp))[cut].clamp(0, 1)
    restored = deconvolve(blurry, kernel)
    assert restored.shape == blurry.shape
    assert psnr(restored.clamp(0, 1), sharp[cut]) > psnr(blurry, sharp[cut]) + gain


def test_images_and_channels_are_solved_for_themselves() -> None:
    torch.manual_seed(0)
    blurry, kernel = torch.rand(2, 3, 20, 26, dtype=torch.float64), disc(2.0, 5)
    together = deconvolve(blurry, kernel)
    alone = deconvolve(blurry[1:, 2:], kernel)
    torch.testing.assert_close(together[1:, 2:], alone, rtol=0, atol=1e-12)
    across = deconvolve(blurry.transpose(-1, -2), kernel.T).transpose(-1, -2)
    torch.testing.assert_close(across, together, rtol=0, atol=1e-12)


def test_a_constant_image_stays() -> None:
    image = torch.full((1, 3, 16, 21), 0.37)
    torch.testing.assert_close(deconvolve(image, disc(3.0, 7)), image, rtol=0, atol=1e-6)


def test_blur_is_a_convolution() -> None:
    torch.manual_seed(0)
    image, kernel = torch.rand(2, 3, 12, 9, dtype=torch.float64), torch.rand(3, 5, dtype=torch.float64)
    padded = torch.nn.functional.pad(image, (2, 2, 1, 1), mode="replicate").flatten(0, 1)[:, None]
    expected = torch.nn.functional.conv2d(padded, kernel.flip(0, 1)[None, None]).view_as(image)
    torch.testing.assert_close(blur(image, kernel), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "settings", "message"),
    [
        (torch.ones(4, 5) / 20, {}, "odd sizes"),
        (torch.ones(3, 3) / 9, {"weight": 0.0}, "weight=0.0"),
        (torch.ones(3, 3) / 9, {"alpha": 2.0}, r"alpha=2.0 is outside \(0, 2\)"),
    ],
)
def test_invalid_arguments_are_refused(kernel: Tensor, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        deconvolve(torch.rand(1, 1, 8, 8), kernel, **settings)
