"""A data set of rendered pairs: a pure function of (seed, index)."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning.data.synthetic import dataset
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import Photograph, dead_leaves, from_scikit_image
from jdrl_lightning.data.synthetic.render import Optics
from jdrl_lightning.types import Pair


def pairs(seed: int = 0, frames_per_photo: int = 2, frame: int = 48, misalignment: str = "nonrigid") -> RenderedPairs:
    textures = dead_leaves("val", 0, size=128)[:3]
    return RenderedPairs(textures, seed, frames_per_photo, frame, misalignment=preset(misalignment))


def equal(first: Pair, second: Pair) -> bool:
    tensors = [(first.blurry, second.blurry), (first.sharp, second.sharp)]
    tensors += [(first.extras[key], second.extras[key]) for key in first.extras]
    return first.name == second.name and all(torch.equal(a, b) for a, b in tensors)


def test_samples_do_not_depend_on_the_order_of_access() -> None:
    forwards, backwards = pairs(), pairs()
    there = [forwards[i] for i in range(6)]
    back = [backwards[i] for i in reversed(range(6))][::-1]
    assert all(equal(a, b) for a, b in zip(there, back, strict=True))
    assert equal(pairs()[4], there[4])


def test_other_seeds_and_other_indices_give_other_samples() -> None:
    first, other = pairs(seed=0), pairs(seed=1)
    blurry = [first[i].blurry for i in range(6)] + [other[i].blurry for i in range(6)]
    assert all(not torch.equal(a, b) for i, a in enumerate(blurry) for b in blurry[:i])
    assert len({first[i].name for i in range(6)}) == 6


def test_more_frames_per_photograph_keep_the_first_ones() -> None:
    assert equal(pairs(frames_per_photo=1)[2], pairs(frames_per_photo=3)[2])


def test_length_and_bounds() -> None:
    assert len(pairs()) == 6
    for index in (-1, 6):
        with pytest.raises(IndexError):
            pairs()[index]


def test_a_frame_is_at_most_half_its_photograph() -> None:
    wide = Photograph("wide", 1, lambda: torch.rand(3, 70, 200, generator=torch.Generator().manual_seed(0)))
    assert RenderedPairs([wide], 0, frame=64)[0].blurry.shape == (3, 35, 64)
    assert RenderedPairs([wide], 0, frame=512)[0].blurry.shape == (3, 35, 100)


def test_prerendering_gives_the_same_and_reports_progress() -> None:
    ahead, later, steps = pairs(), pairs(), []
    ahead.prerender(lambda done, total: steps.append((done, total)))
    assert steps == [(n, 6) for n in range(1, 7)]
    assert all(equal(ahead[i], later[i]) for i in range(6))
    assert ahead[0] is ahead[0]


def test_tiny_frames_with_wide_blur_and_far_motion_are_rendered_too() -> None:
    texture = dead_leaves("val", 0, size=96)[:1]
    made = RenderedPairs(texture, 0, 40, 33, [Optics(blur_px=20)], preset("nonrigid", 3.0))
    assert all(made[i].blurry.shape == (3, 33, 33) for i in range(len(made)))


def test_few_photographs_are_in_memory_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [pairs()[i] for i in range(6)]
    monkeypatch.setattr(dataset, "KEPT", 1)
    thrifty = pairs()
    assert all(equal(thrifty[i], expected[i]) for i in range(6))
    assert len(thrifty._pixels.kept) == 1
    thrifty.prerender()
    assert not thrifty._pixels.kept


@pytest.mark.parametrize("misalignment", ["random", "nonrigid"])
def test_real_photographs_displaced_are_not_softer(misalignment: str) -> None:
    made = RenderedPairs(from_scikit_image("test"), 0, 4, 128, misalignment=preset(misalignment))

    def detail(image: torch.Tensor) -> torch.Tensor:
        return image[..., 12:-12, 12:-12].float().diff(dim=2).square().mean()

    ratios = [float(detail(made[i].sharp) / detail(made[i].extras["aligned"])) for i in range(len(made))]
    assert 0.95 < sum(ratios) / len(ratios) < 1.05


def test_biased_has_a_mean_over_photographs_and_random_has_little() -> None:
    def mean(name: str) -> torch.Tensor:
        made = pairs(frames_per_photo=8, frame=24, misalignment=name)
        return torch.stack([made[i].extras["flow"].mean((1, 2)) for i in range(len(made))]).mean(0).norm()

    assert mean("biased") > 2.5
    assert mean("random") < 1.5


def test_the_global_random_state_does_not_matter() -> None:
    torch.manual_seed(1)
    first = pairs()[1]
    torch.manual_seed(2)
    state = torch.get_rng_state()
    assert equal(pairs()[1], first)
    assert torch.equal(torch.get_rng_state(), state)


def test_frames_of_different_photographs_differ() -> None:
    found = pairs()
    assert (found[0].extras["flow"] - found[1].extras["flow"]).abs().mean() > 0.2


def test_a_small_photograph_gives_a_frame_of_half_its_size() -> None:
    chelsea = [p for p in from_scikit_image("test") if p.name == "chelsea"]
    assert RenderedPairs(chelsea, 0, frame=256)[0].blurry.shape == (3, 150, 225)


def test_photographs_are_read_on_demand() -> None:
    read = []

    def load() -> torch.Tensor:
        read.append(1)
        return torch.full((3, 160, 160), 0.5)

    found = RenderedPairs([Photograph("grey", 1, load)], 0, 3, frame=64)
    assert not read
    found.prerender()
    assert len(read) == 1
