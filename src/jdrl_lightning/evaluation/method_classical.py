"""Classical methods: a defocus map estimated from the blurry image, or the true one, and deconvolution with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning import classical
from jdrl_lightning.classical.methods import LICENCE
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.methods import Method, of_blurry
from jdrl_lightning.types import Pair

__all__ = ["dmenet", "ebdb", "jnb", "oracle_map"]


def ebdb(config: Mapping[str, Any], device: torch.device) -> Method:
    """Karaali and Jung's map."""
    note = "Defocus map of Karaali and Jung (2017), hyper-Laplacian deconvolution."
    return Method("EBDB", of_blurry(classical.create("ebdb")), (note,))


def jnb(config: Mapping[str, Any], device: torch.device) -> Method:
    """Shi, Xu and Jia's map."""
    note = "Defocus map of Shi, Xu and Jia (2015), hyper-Laplacian deconvolution."
    return Method("JNB", of_blurry(classical.create("jnb")), (note,))


def dmenet(config: Mapping[str, Any], device: torch.device) -> Method:
    """Lee, Lee, Cho and Lee's map, by the network of published size with the weights ``config["dmenet_weights"]``."""
    file = config["dmenet_weights"]
    note = f"Defocus map of Lee, Lee, Cho and Lee (2019), weights {file}, hyper-Laplacian deconvolution; {LICENCE}."
    return Method("DMENet", of_blurry(classical.create("dmenet", weights=file)), (note,))


def oracle_map(config: Mapping[str, Any], device: torch.device) -> Method:
    """The true circle of confusion of rendered pairs: the upper bound of deconvolution with an estimated map."""
    deconvolve = classical.create("oracle_map")

    def restore(pair: Pair) -> Tensor:
        if "coc" not in pair.extras:
            raise UserError(
                "method=oracle_map needs pairs that carry their true defocus; use data=photos or data=leaves"
            )
        restored: Tensor = deconvolve(pair.blurry, pair.extras["coc"].to(pair.blurry))
        return restored

    return Method("true map", restore, ("THE TRUE DEFOCUS MAP, hyper-Laplacian deconvolution: an upper bound.",))
