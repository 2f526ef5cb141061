from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning.classical.ebdb import blur_at_edges, connected_edge_filter, ebdb_map
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.flow.filters import smooth


def _step() -> Tensor:
    image = torch.full((1, 1, 96, 96), 0.2)
    image[..., 48:] = 0.8
    return image


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_the_blur_of_a_lone_edge(sigma: float, noise: float) -> None:
    torch.manual_seed(0)
    image = smooth(_step(), sigma) + noise * torch.randn(1, 1, 96, 96)
    found, known = blur_at_edges(image)
    inside = (0, 0, slice(10, -10), slice(46, 51))
    estimates = found[inside][known[inside] > 0]
    assert len(estimates) > (60 if noise == 0 else 25)
    assert float(estimates.median()) == pytest.approx(sigma, rel=0.12)


def test_noise_makes_the_scale_larger() -> None:
    """At the finest scale only, this much noise would make the ratio useless: what is still estimated is right."""
    torch.manual_seed(0)
    image = smooth(_step(), 2.0) + 0.03 * torch.randn(1, 1, 96, 96)
    found, known = blur_at_edges(image)
    estimates = found[..., 44:53][known[..., 44:53] > 0]
    assert len(estimates) > 10
    assert float(estimates.median()) == pytest.approx(2.0, rel=0.25)


def test_noise_alone_has_no_edges() -> None:
    torch.manual_seed(0)
    assert float(blur_at_edges(0.5 + 0.05 * torch.randn(1, 1, 96, 96))[1].mean()) < 1e-3


def test_the_edge_filter_stays_on_its_edge() -> None:
    edges = torch.zeros(1, 1, 20, 30)
    edges[..., 5, 2:28] = 1  # a line, and a parallel one a pixel apart from it
    edges[..., 7, 2:28] = 1
    values = torch.where(torch.arange(20).view(1, 1, 20, 1) == 5, 1.0, 3.0) * torch.ones(1, 1, 20, 30)
    values[..., 5, 15] = 2.0
    filtered = connected_edge_filter(values, edges, reach_px=4)
    assert float(filtered[edges == 0].abs().max()) == 0
    torch.testing.assert_close(filtered[..., 7, 2:28], torch.full((1, 1, 26), 3.0))
    line = filtered[0, 0, 5, 2:28]
    assert float(line.max()) < 1.3
    torch.testing.assert_close(line[:9], torch.ones(9))  # more than four steps away
    assert bool((line[9:18] > 1).all())
    # Three taps, four times: the outlier's weights are those of the polynomial (1 + x + x²)⁴ / 3⁴.
    assert float(line[13]) == pytest.approx(1 + 19 / 81)


def test_the_map_of_two_halves(photo: Tensor) -> None:
    sharp = photo[:, 60:220, 150:340].float() / 255
    radius = torch.full(sharp.shape[-2:], 0.0)
    radius[:, 95:] = 3.0
    found = ebdb_map(blur_by_discs(sharp, radius)[None])[0, 0]
    assert found.shape == radius.shape
    assert float(found[:, 105:].median()) > float(found[:, :85].median()) + 1
    assert float(found[:, 105:].median()) == pytest.approx(3.0, abs=1.2)
    assert 0 <= float(found.min()) <= float(found.max()) <= 10


def test_images_of_a_batch_do_not_mix(photo: Tensor) -> None:
    image = photo[None, :, :96, 200:300].float() / 255
    pair = torch.cat([image, torch.full_like(image, 0.4)])
    found = ebdb_map(pair)
    torch.testing.assert_close(found[:1], ebdb_map(image), rtol=0, atol=1e-5)
    assert float(found[1].abs().max()) == 0
