"""What a rendered pair may depend on, and when photographs are read."""

from __future__ import annotations

import torch

from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import Photograph, dead_leaves, from_scikit_image
from jdrl_lightning.types import Pair


def small() -> RenderedPairs:
    textures = dead_leaves("val", 0, size=160)[:2]
    return RenderedPairs(textures, 0, 2, frame=64, misalignment=preset("nonrigid"))


def equal(one: Pair, other: Pair) -> bool:
    tensors = zip(
        (one.blurry, one.sharp, *one.extras.values()), (other.blurry, other.sharp, *other.extras.values()), strict=True
    )
    return one.name == other.name and all(torch.equal(a, b) for a, b in tensors)


def test_the_global_random_state_does_not_matter() -> None:
    torch.manual_seed(1)
    first = small()[1]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert equal(small()[1], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_photograph_decides_what_is_drawn_for_it() -> None:
    pairs = small()
    assert (pairs[0].extras["flow"] - pairs[1].extras["flow"]).abs().mean() > 0.2


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
