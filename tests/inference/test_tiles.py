"""Tiles against the whole picture."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.tiles import check_tiles, restore, spans, weights

SETTINGS = [(64, 16, 8), (48, 24, 8), (64, 48, 4), (32, 0, 8), (40, 9, 4), (33, 7, 1)]


def small_net(depth: int) -> nn.Module:
    """3x3 convolutions with zero padding: sees ``depth`` pixels far."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += [nn.Conv2d(3 if i == 0 else 6, 3 if i == depth - 1 else 6, 3, padding=1), nn.Tanh()]
    return nn.Sequential(*layers)


@pytest.mark.parametrize(("tile", "overlap", "divisor"), SETTINGS)
@pytest.mark.parametrize("size", [1, 31, 64, 65, 79, 80, 81, 100, 333])
def test_spans_cover_and_weights_sum_to_one(tile: int, overlap: int, divisor: int, size: int) -> None:
    parts = spans(size, tile, overlap, divisor)
    assert (parts[0][0], parts[-1][1]) == (0, size)
    for (start, end), (next_start, _) in pairwise(parts):
        assert end - next_start >= overlap
        assert start < next_start
    longest = max(end - start for start, end in parts)
    for start, end in parts:
        assert start % divisor == 0
        assert end - start <= tile
        assert end - start == longest or (end == size and end - start > longest - divisor)
    total = torch.zeros(size)
    for (start, end), weight in zip(parts, weights(parts), strict=True):
        assert weight.min() >= 0
        total[start:end] += weight
    torch.testing.assert_close(total, torch.ones(size))


def test_no_more_tiles_than_needed_and_no_longer_ones() -> None:
    assert len(spans(512, 512, 64, 16)) == 1
    assert len(spans(960, 512, 64, 16)) == 2
    assert len(spans(961, 512, 64, 16)) == 3
    assert spans(4096, 768, 192, 16)[0] == (0, 752)  # seven, as with 768
    for size in range(300, 1200, 7):
        parts = spans(size, 256, 64, 16)
        longest = max(end - start for start, end in parts)
        assert len(spans(size, longest - 16, 64, 16)) > len(parts) == len(spans(size, longest, 64, 16))


def test_inner_edges_of_tiles_have_no_weight() -> None:
    first, second = weights(spans(960, 512, 64, 16))
    assert first[-24:].max() == 0
    assert second[:24].max() == 0
    assert second[:64].diff().min() >= 0


@pytest.mark.parametrize("shape", [(100, 130), (64, 200), (33, 70), (70, 33), (5, 100)])
@pytest.mark.parametrize(("tile", "overlap", "divisor"), SETTINGS)
def test_identity(shape: tuple[int, int], tile: int, overlap: int, divisor: int) -> None:
    blurry = torch.rand(1, 3, *shape)
    torch.testing.assert_close(restore(lambda x: x, blurry, tile, overlap, divisor), blurry)


def test_equals_the_whole_picture_where_the_edges_are_not_seen() -> None:
    network, blurry = small_net(depth=6), torch.rand(1, 3, 80, 144)
    with torch.no_grad():
        whole = network(blurry)
    tiled = restore(network, blurry, tile=48, overlap=16, divisor=8)  # three eighths of the overlap are 6
    torch.testing.assert_close(tiled, whole, atol=1e-6, rtol=0)
    bare = restore(network, blurry, tile=48, overlap=0, divisor=8)
    assert (bare - whole).abs().max() > 1 / 255  # so the overlap is what does it


def test_near_the_whole_picture_where_sight_fits_the_overlap() -> None:
    network, blurry = small_net(depth=8), torch.rand(1, 3, 80, 144)  # sees 8 px far: half the overlap
    with torch.no_grad():
        whole = network(blurry)
    error = (restore(network, blurry, tile=48, overlap=16, divisor=8) - whole).abs().max()
    assert 0 < error < 1 / 255


def test_networks_that_halve_the_resolution_meet_the_same_grid() -> None:
    def coarse(image: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(image, 8), scale_factor=8, mode="nearest")

    blurry = torch.rand(1, 3, 104, 136)
    torch.testing.assert_close(restore(coarse, blurry, tile=48, overlap=20, divisor=8), coarse(blurry))


def test_the_network_sees_multiples_of_the_divisor_and_no_more_than_a_tile() -> None:
    seen: list[torch.Size] = []
    steps: list[tuple[int, int]] = []

    def network(image: Tensor) -> Tensor:
        seen.append(image.shape)
        return image

    restore(network, torch.rand(1, 3, 101, 77), 64, 16, 16, progress=lambda done, total: steps.append((done, total)))
    assert all(height % 16 == width % 16 == 0 and max(height, width) <= 64 for _, _, height, width in seen)
    assert steps == [(i + 1, len(seen)) for i in range(len(seen))]
    seen.clear()
    restore(network, torch.rand(1, 3, 60, 64), 64, 16, 16)
    assert seen == [(1, 3, 64, 64)]


@pytest.mark.parametrize("batch", [2, 3, 100])
def test_tiles_restored_together_are_as_restored_one_by_one(batch: int) -> None:
    network, blurry, steps = small_net(depth=4), torch.rand(2, 3, 90, 130), []
    seen: list[int] = []

    def noted(tiles: Tensor) -> Tensor:
        seen.append(len(tiles))
        return network(tiles)

    together = restore(noted, blurry, 48, 16, 8, batch=batch, progress=lambda done, total: steps.append((done, total)))
    torch.testing.assert_close(together, restore(network, blurry, 48, 16, 8), atol=1e-6, rtol=0)
    tiles = len(spans(90, 48, 16, 8)) * len(spans(130, 48, 16, 8))
    assert max(seen) == 2 * min(batch, tiles)  # of two pictures
    assert sum(seen) == 2 * tiles
    assert steps[-1] == (tiles, tiles)


def test_no_gradient_and_float32() -> None:
    network = small_net(depth=2)
    restored = restore(lambda x: network(x).half(), torch.rand(2, 3, 40, 40), 32, 8, 8)
    assert restored.dtype == torch.float32
    assert restored.shape == (2, 3, 40, 40)
    assert not restored.requires_grad


def test_tiles_that_do_not_get_on() -> None:
    for tile, overlap in ((64, 60), (64, 64), (64, -1), (79, 49)):
        with pytest.raises(ValueError, match=f"tile={tile}"):
            restore(lambda x: x, torch.rand(1, 3, 80, 80), tile, overlap, 16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((64, -1, 8), "overlap=-1 is not a whole number"),
        ((64, 1.5, 8), "overlap=1.5 is not a whole number"),
        ((23, 16, 8), "tile=23 is not at least 24, overlap=16 and 8 more; raise tile or lower overlap"),
        ((31, 17, 8), "tile=31 is not at least 32"),
        ((64.0, 16, 8), "tile=64.0 is not at least 24"),
        ((64, 16, 8, 0), "tile_batch=0 is not a whole number of at least 1"),
    ],
)
def test_settings_without_progress_are_refused(settings: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_tiles(*settings)
    check_tiles(24, 16, 8)
    check_tiles(32, 17, 8)
