"""Classical methods under the names of the evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jdrl_lightning import classical
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation import methods
from jdrl_lightning.metrics import psnr
from jdrl_lightning.types import Pair

CPU = torch.device("cpu")


@pytest.fixture
def pair(photo: Tensor) -> Pair:
    """A photo whose right half is blurred by discs of 2 px, and the true radii."""
    sharp, radius = photo[:, 60:108, 200:264].float() / 255, torch.zeros(1, 1, 48, 64)
    radius[..., 32:] = 2.0
    return Pair(blur_by_discs(sharp, radius[0, 0])[None].clamp(0, 1), sharp[None], ["a"], {"coc": radius})


def test_the_true_map_restores_more_than_an_estimated_one(pair: Pair) -> None:
    restored = methods.create("oracle_map", {}, CPU).restore(pair)
    assert psnr(restored, pair.sharp) > psnr(pair.blurry, pair.sharp) + 0.5
    for name in ("ebdb", "jnb"):
        method = methods.create(name, {}, CPU)
        assert method.title.lower() == name
        image = method.restore(pair._replace(sharp=torch.zeros_like(pair.sharp), extras={}))  # it must not look at them
        torch.testing.assert_close(image, classical.create(name)(pair.blurry))
        assert psnr(restored, pair.sharp) > psnr(image, pair.sharp)


def test_the_true_map_must_be_known(pair: Pair) -> None:
    with pytest.raises(UserError, match="needs pairs that carry their true defocus; use data=photos"):
        methods.create("oracle_map", {}, CPU).restore(pair._replace(extras={}))
