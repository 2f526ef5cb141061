"""The sharp shot by C++ against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data.synthetic.scenes import MARGIN, needs_compiler, scene, without_compiler
from jdrl_lightning.data.synthetic import displace
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.render import MASTER
from jdrl_lightning.data.synthetic.scene import Layer, Plane

needs_compiler()


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("size", [(96, 128), (34, 2)])
@pytest.mark.parametrize(("misalignment", "amplitude"), [("random", 1.0), ("nonrigid", 1.0), ("nonrigid", 8.0)])
def test_equals_torch(
    misalignment: str, amplitude: float, size: tuple[int, int], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large displacements look beyond the scene's margin too, and their inverses converge less."""
    frame = Box.centred(*size)
    layers = scene(number, frame)
    displacement = preset(misalignment, amplitude).draw(np.random.default_rng(number), 0.7, (48, 64))
    found = displace.displaced(layers, frame, MARGIN, MASTER, displacement)
    without_compiler(monkeypatch)
    expected = displace.displaced(layers, frame, MARGIN, MASTER, displacement)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5 * amplitude)


def test_each_master_pixel_equals_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(displace, "EDGE", -1.0)
    frame = Box.centred(66, 70)
    layers = scene(3, frame)
    displacement = preset("nonrigid").draw(np.random.default_rng(3), 0.2, (33, 35))
    found = displace.displaced(layers, frame, MARGIN, MASTER, displacement)
    without_compiler(monkeypatch)
    expected = displace.displaced(layers, frame, MARGIN, MASTER, displacement)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)


def test_a_view_of_a_layer_is_read_as_it_is() -> None:
    frame = Box.centred(32, 32)
    rgba = torch.rand(4, 130, 128, generator=torch.Generator().manual_seed(0))
    rgba[3] = 1
    displacement = preset("random").draw(np.random.default_rng(0), 0.5, (16, 16))
    views = rgba[:, 1:129], rgba[:, 1:129].contiguous()
    shots = [
        displace.displaced([Layer(view, frame.grown(MARGIN), Plane(0.3, (0.0, 0.0)))], frame, MARGIN, 2, displacement)
        for view in views
    ]
    assert torch.equal(*shots)
