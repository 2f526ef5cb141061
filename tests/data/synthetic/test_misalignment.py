"""Displacements: their inverse, their ranges, their bias."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jdrl_lightning.data.synthetic.misalignment import PRESETS, Displacement, Misalignment, invert_at, preset
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.affine import affine_fit

SIZE = (96, 128)
Y, X = torch.meshgrid(torch.arange(96) - 47.5, torch.arange(128) - 63.5, indexing="ij")


def drawn(misalignment: Misalignment, number: int, focus: float | None = None) -> Displacement:
    rng = np.random.default_rng(number)
    return misalignment.draw(rng, float(rng.uniform()) if focus is None else focus, SIZE)


def field(displacement: Displacement, nearness: float = 0.5) -> torch.Tensor:
    return displacement(X, Y, torch.full_like(X, nearness))


def test_none_moves_nothing() -> None:
    assert preset("none") == Misalignment()
    assert field(drawn(preset("none"), 0)).abs().max() == 0


@pytest.mark.parametrize("number", range(3))
def test_the_inverse_undoes_the_displacement(number: int) -> None:
    displacement = drawn(preset("nonrigid"), number)

    def forward(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return displacement(x, y, 0.4 + 0.001 * x)

    pull = invert_at(forward, X, Y)
    assert pull.abs().max() > 1
    torch.testing.assert_close(pull, -forward(X + pull[0], Y + pull[1]), atol=2e-4, rtol=0)


def test_a_pure_zoom_has_a_closed_inverse() -> None:
    pull = invert_at(lambda x, y: 0.02 * torch.stack([x, y]), X, Y)
    torch.testing.assert_close(pull, torch.stack([X, Y]) * (1 / 1.02 - 1), atol=1e-4, rtol=0)


def test_random_has_no_mean_over_frames_and_biased_has() -> None:
    means = {
        name: torch.stack([field(drawn(preset(name), n)).mean((1, 2)) for n in range(200)]).mean(0)
        for name in ("random", "biased")
    }
    assert means["random"].norm() < 0.7
    assert means["biased"].norm() > 2.5
    assert means["biased"][0] > 2 * means["biased"][1].abs() > 0


def test_stack_is_as_far_off_as_a_real_focus_stack() -> None:
    """8.4 px in the median, 3.5 px beyond an affine motion; parallax needs depth, so a flat scene has less of both."""
    fields = torch.stack([field(drawn(preset("stack"), n)) for n in range(200)])
    assert 6 < fields.norm(dim=1).flatten(1).median(1).values.mean() < 9
    beyond = (fields - affine_fit(fields)).square().sum(1).mean((1, 2)).sqrt()
    assert 2 < beyond.mean() < 4


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid", "stack"])
def test_amplitude_scales_the_flow(name: str) -> None:
    once, twice, none = (field(drawn(preset(name, amplitude), 3), 0.9) for amplitude in (1.0, 2.0, 0.0))
    torch.testing.assert_close(twice, 2 * once)
    assert none.abs().max() == 0


@pytest.mark.parametrize("name", ["random", "biased", "nonrigid", "stack"])
def test_the_flow_stays_in_its_ranges(name: str) -> None:
    ranges = PRESETS[name]
    farthest = 0.5 * 128 + 0.1 * 128
    # Three waves of at most smooth / √3 each.
    bound = ranges.shift_px + ranges.zoom * farthest + ranges.parallax_px / 2 + ranges.smooth_px * 3**0.5
    lengths = [field(drawn(ranges, n), 1.0).abs().max() for n in range(30)]
    assert 1 < max(lengths) <= bound


def test_zoom_follows_the_focus() -> None:
    near, far = (field(drawn(Misalignment(zoom=0.01), 0, focus)) for focus in (1.0, 0.0))
    torch.testing.assert_close(near, -far)
    assert float(near[0, 0, -1] - near[0, 0, 0]) == pytest.approx(0.01 * 127, rel=1e-4)


def test_parallax_tells_near_from_far() -> None:
    displacement = drawn(Misalignment(parallax_px=3.0), 0)
    apart = field(displacement, 1.0) - field(displacement, 0.0)
    torch.testing.assert_close(apart.norm(dim=0), torch.full_like(X, 3.0))
    rigid = drawn(preset("random"), 0)
    assert torch.equal(field(rigid, 1.0), field(rigid, 0.0))


def test_the_smooth_part_is_smooth() -> None:
    flow = field(drawn(Misalignment(smooth_px=1.0), 1))
    assert flow.std() > 0.1
    assert flow.diff(dim=2).abs().max() < 0.1


def test_unknown_name() -> None:
    with pytest.raises(UserError, match=r"misalignment='wild'.*random.*nonrigid"):
        preset("wild")
