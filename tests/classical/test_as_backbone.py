"""Classical methods in a network's place."""

from __future__ import annotations

import pytest
import torch

from jdrl_lightning import UserError, classical
from jdrl_lightning.classical.as_backbone import as_backbone
from jdrl_lightning.classical.ebdb import ebdb_map
from jdrl_lightning.data.synthetic.defocus_psf import blur_by_discs
from jdrl_lightning.inference.restorer import Restorer


def test_it_restores_and_maps_what_the_method_does(photo: torch.Tensor) -> None:
    sharp = photo[:, 60:141, 60:163].float() / 255
    blurry = blur_by_discs(sharp, torch.full(sharp.shape[-2:], 2.0)).clamp(0, 1)
    restorer = Restorer(as_backbone("ebdb"))
    restored = restorer.restore(blurry)
    torch.testing.assert_close(restored[None], classical.create("ebdb")(blurry[None]), atol=1e-5, rtol=0)
    torch.testing.assert_close(restorer.blur_map(blurry), ebdb_map(blurry[None])[0, 0])


def test_unknown_methods_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="ebdb, jnb"):
        as_backbone("dmenet")
