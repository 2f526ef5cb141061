"""The blurry shot by C++ against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch import Tensor

from data.synthetic.scenes import MARGIN, needs_compiler, scene, without_compiler
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.defocus import defocused
from jdrl_lightning.data.synthetic.defocus_psf import disc_kernel
from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.render import MASTER
from jdrl_lightning.data.synthetic.scene import Layer, Plane

needs_compiler()


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("size", [(96, 128), (34, 2), (130, 70)])
@pytest.mark.parametrize("camera", ["default", "varied", "mirror"])
@pytest.mark.parametrize("scale", [1, MASTER])
def test_equals_torch(
    scale: int, camera: str, size: tuple[int, int], number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any aperture; some of the layers are in focus, and blended at the master's resolution."""
    frame = Box.centred(*size)
    layers = scene(number, frame)
    rng = np.random.default_rng(number)
    focus, kernel = rng.uniform(0, 1), CAMERAS[camera].draw(rng).kernel

    def radius(plane: Plane, x: Tensor, y: Tensor) -> Tensor:
        return (14 * (plane(x, y) - focus)).abs().clamp_max(11)

    found = defocused(layers, frame, scale, radius, kernel)
    without_compiler(monkeypatch)
    torch.testing.assert_close(found, defocused(layers, frame, scale, radius, kernel), rtol=0, atol=1e-5)


@pytest.mark.parametrize("radius", [0, 1, 4])
def test_one_radius_is_a_convolution(radius: int) -> None:
    """With a kernel that is not symmetric."""
    lopsided = torch.rand(2 * radius + 3, 2 * radius + 3, dtype=torch.float64) if radius else disc_kernel(0)
    frame = Box.centred(20, 50)
    rgba = torch.rand(4, 20 + 2 * MARGIN, 50 + 2 * MARGIN)
    rgba[3] = 1
    layers = [Layer(rgba, frame.grown(MARGIN), Plane(0.5, (0.0, 0.0)))]
    blurry = defocused(layers, frame, 1, lambda plane, x, y: torch.full_like(x, radius), lambda step: lopsided)
    for channel in range(3):
        expected = convolve(rgba[channel].double().numpy(), lopsided.numpy())[MARGIN:-MARGIN, MARGIN:-MARGIN]
        np.testing.assert_allclose(blurry[channel], expected, rtol=1e-5)
