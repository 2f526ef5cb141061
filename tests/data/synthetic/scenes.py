"""Scenes drawn over random textures, small."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from jdrl_lightning.data.synthetic import compiled
from jdrl_lightning.data.synthetic.regions import Box
from jdrl_lightning.data.synthetic.render import MARGIN_PX, MASTER
from jdrl_lightning.data.synthetic.scene import Layer, draw_scene

MARGIN = MARGIN_PX * MASTER


def scene(number: int, frame: Box) -> list[Layer]:
    photo = torch.rand(3, 200, 220, generator=torch.Generator().manual_seed(number))
    return draw_scene(np.random.default_rng(number), photo, [photo], frame.grown(MARGIN), MASTER)


def needs_compiler() -> None:
    if compiled.compiled_for(torch.zeros(1)) is None:
        pytest.skip("no C++ compiler here", allow_module_level=True)


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on the renderer is torch's."""

    def none(image: Tensor) -> None:
        return None

    for module in ("displace", "defocus"):
        monkeypatch.setattr(f"jdrl_lightning.data.synthetic.{module}.compiled_for", none)
