"""Rendered pairs as a data set: pure in (seed, index), rendered once."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import Photograph, dead_leaves, from_scikit_image
from jdrl_lightning.types import Pair


def small(seed: int = 0, reverse: bool = False) -> RenderedPairs:
    textures = dead_leaves("val", 0, size=160)[:2]
    return RenderedPairs(textures[::-1] if reverse else textures, seed, 2, frame=64, misalignment=preset("nonrigid"))


def equal(one: Pair, other: Pair) -> bool:
    tensors = zip(
        (one.blurry, one.sharp, *one.extras.values()), (other.blurry, other.sharp, *other.extras.values()), strict=True
    )
    return one.name == other.name and all(torch.equal(a, b) for a, b in tensors)


def test_a_sample_has_the_promised_types() -> None:
    pair = small()[0]
    assert pair.name == "leaves_10000_0"
    for image in (pair.blurry, pair.sharp, pair.extras["aligned"]):
        assert (image.dtype, image.shape) == (torch.uint8, (3, 64, 64))
    assert (pair.extras["flow"].dtype, pair.extras["flow"].shape) == (torch.float32, (2, 64, 64))
    assert (pair.extras["coc"].dtype, pair.extras["coc"].shape) == (torch.float32, (1, 64, 64))
    assert list(pair.extras) == ["aligned", "flow", "coc"]


def test_a_sample_is_a_pure_function_of_seed_and_index() -> None:
    forth, back = small(), small()
    first = [forth[index] for index in range(4)]
    again = [back[index] for index in (3, 1, 2, 0)][::-1]
    assert all(equal(a, b) for a, b in zip(first, [again[i] for i in (0, 2, 1, 3)], strict=True))
    assert equal(forth.render(2), first[2])


def test_the_global_random_state_does_not_matter() -> None:
    torch.manual_seed(1)
    first = small()[1]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert equal(small()[1], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_seeds_photographs_and_frames_differ() -> None:
    images = [small()[0].blurry, small(1)[0].blurry, small()[1].blurry, small()[2].blurry]
    assert all((a.float() - b.float()).abs().mean() > 5 for i, a in enumerate(images) for b in images[:i])


def test_prerendering_renders_all_once() -> None:
    pairs, seen = small(), []
    pairs.prerender(lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert all(pairs[index] is pairs[index] for index in range(4))
    assert equal(pairs[3], small()[3])


def test_the_index_is_checked() -> None:
    pairs = small()
    assert len(pairs) == 4
    for wrong in (-1, 4):
        with pytest.raises(IndexError):
            pairs[wrong]


def test_a_small_photograph_gives_a_frame_of_half_its_size() -> None:
    chelsea = [p for p in from_scikit_image("test") if p.name == "chelsea"]
    assert RenderedPairs(chelsea, 0, frame=256)[0].blurry.shape == (3, 150, 225)


def test_photographs_are_read_only_when_they_are_needed() -> None:
    read = []

    def load() -> torch.Tensor:
        read.append(1)
        return torch.full((3, 160, 160), 0.5)

    pairs = RenderedPairs([Photograph("grey", 1, load)], 0, 3, frame=64)
    assert not read
    pairs.prerender()
    assert len(read) == 1
