from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from jdrl_lightning import Pair, Restored, UserError, objectives


def test_the_pixel_losses_are_what_their_names_say() -> None:
    image, sharp = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    expected = {
        "charbonnier": ((image - sharp) ** 2 + 1e-6).sqrt().mean(),
        "l1": F.l1_loss(image, sharp),
        "mse": F.mse_loss(image, sharp),
    }
    for name, value in expected.items():
        objective = objectives.create(name)
        losses = objective(Restored((image,), {}), Pair(image, sharp, ["a", "b"], {}), objective.schedule.at(3))
        torch.testing.assert_close(losses.total, value)


def test_unknown_names_and_settings_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="jdrl_robust"):
        objectives.create("jdlr")
    with pytest.raises(UserError, match="charbonnier"):
        objectives.create("charbonnier", lam=0.3)
