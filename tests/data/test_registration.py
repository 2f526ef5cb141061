"""Registration of the sharp image to the blurry one, with a known motion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.registration import Registered, affine_flow, fit_affine
from jdrl_lightning.types import Pair

HEIGHT, WIDTH = 40, 56


def scene(x: Tensor, y: Tensor) -> Tensor:
    """A smooth image, known between pixels too."""
    return torch.stack([0.5 + 0.3 * torch.sin(x / 5 + c) * torch.cos(y / 6 - c) for c in range(3)])


def grid() -> tuple[Tensor, Tensor]:
    y, x = torch.meshgrid(torch.arange(HEIGHT).float(), torch.arange(WIDTH).float(), indexing="ij")
    return x, y


def true_flow() -> Tensor:
    """A small turn and zoom about the centre, and a shift of (2.3, -1.6) px."""
    x, y = grid()
    x, y = x - (WIDTH - 1) / 2, y - (HEIGHT - 1) / 2
    c, s = 1.01 * math.cos(0.02) - 1, 1.01 * math.sin(0.02)
    return torch.stack([c * x - s * y + 2.3, s * x + c * y - 1.6])


class OnePair(Dataset[Pair]):
    """The blurry image is exactly the sharp one warped by ``true_flow``."""

    def __init__(self, dtype: torch.dtype) -> None:
        flow = true_flow()
        x, y = grid()
        images = [scene(x + flow[0], y + flow[1]), scene(x, y)]
        if not dtype.is_floating_point:
            levels = 255 if dtype == torch.uint8 else 65535
            images = [(image * levels).round().to(torch.int32).to(dtype) for image in images]
        self.pair = Pair(
            images[0], images[1], "a", {"flow": flow, "aligned": images[0], "coc": torch.rand(1, HEIGHT, WIDTH)}
        )

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Pair:
        return self.pair


def estimate(blurry: Tensor, sharp: Tensor) -> Tensor:
    assert blurry.shape == sharp.shape == (1, 3, HEIGHT, WIDTH)
    assert blurry.dtype == torch.float32
    assert blurry.max() <= 1
    return true_flow()[None]


def inner(image: Tensor) -> Tensor:
    return image[..., 8:-8, 8:-8]


@pytest.mark.parametrize(("dtype", "levels"), [(torch.uint8, 255), (torch.uint16, 65535), (torch.float32, 1)])
def test_the_sharp_image_is_registered(dtype: torch.dtype, levels: int) -> None:
    pairs = OnePair(dtype)
    registered = Registered(pairs, estimate)
    assert len(registered) == 1
    pair = registered[0]
    assert pair.sharp.dtype == dtype
    assert pair.name == "a"
    error = (inner(pair.sharp).double() - inner(pair.blurry).double()).abs().max() / levels
    before = (inner(pairs.pair.sharp).double() - inner(pair.blurry).double()).abs().max() / levels
    assert before > 0.1
    assert error < 0.005


def test_the_true_flow_is_updated() -> None:
    pair = Registered(OnePair(torch.float32), estimate)[0]
    assert pair.extras["flow"].abs().max() < 1e-4
    assert torch.equal(pair.extras["aligned"], pair.blurry)
    assert pair.extras.keys() == {"flow", "aligned", "coc"}
    nothing = Registered(OnePair(torch.float32), lambda blurry, sharp: torch.zeros(1, 2, HEIGHT, WIDTH))[0]
    torch.testing.assert_close(nothing.extras["flow"], true_flow())
    half = Registered(OnePair(torch.float32), lambda blurry, sharp: true_flow()[None] / 2)[0]
    x, y = grid()
    rest, turned = half.extras["flow"], true_flow() / 2
    # The remaining flow leads to q with q + turned(q) = p + flow(p); turned is affine, hence known between pixels too.
    q = torch.stack([x + rest[0], y + rest[1]])
    centre = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]).view(2, 1, 1)
    c, s = (1.01 * math.cos(0.02) - 1) / 2, 1.01 * math.sin(0.02) / 2
    u = q - centre
    at_q = torch.stack([c * u[0] - s * u[1] + 1.15, s * u[0] + c * u[1] - 0.8])
    torch.testing.assert_close(q + at_q, torch.stack([x, y]) + true_flow(), atol=1e-4, rtol=0)
    assert not torch.allclose(rest, turned, atol=1e-3)


def test_fit_is_least_squares() -> None:
    flow = torch.randn(2, 2, 11, 14)
    y, x = torch.meshgrid(torch.arange(11.0), torch.arange(14.0), indexing="ij")
    terms = torch.stack([x - 6.5, y - 5, torch.ones_like(x)], dim=-1).reshape(-1, 3).double()
    expected = torch.linalg.lstsq(terms, flow.double().reshape(4, -1).T).solution.T.reshape(2, 2, 3)
    torch.testing.assert_close(fit_affine(flow), expected)
    exact = affine_flow(expected, 11, 14)
    torch.testing.assert_close(fit_affine(exact), expected, atol=1e-5, rtol=1e-5)
