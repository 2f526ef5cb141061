"""LPIPS, if the file of the network behind it is on this machine; nothing is ever downloaded."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.weights import read_weights

__all__ = ["FILE", "lpips", "lpips_network", "lpips_weights"]

FILE = "alexnet-owt-7be5be79.pth"  # torchvision's AlexNet_Weights.IMAGENET1K_V1
MIN_PX = 31  # below this AlexNet's second pooling has nothing left


def lpips_weights(path: str | os.PathLike[str] | None = None) -> Path | None:
    """Find the file of AlexNet's weights.

    Args:
        path: where it is; None looks where torchvision would have put it.

    Returns:
        The file, or None if no path was given and torchvision's place is empty: LPIPS is then not available.

    Raises:
        UserError: a path was given and there is no such file.
    """
    file = Path(path) if path is not None else Path(torch.hub.get_dir()) / "checkpoints" / FILE
    if file.is_file():
        return file
    if path is not None:
        raise UserError(f"LPIPS weights {file} do not exist: {_remedy()}")
    return None


def lpips(restored: Tensor, sharp: Tensor, weights: str | os.PathLike[str] | None = None) -> Tensor:
    """Perceptual distance (Zhang et al., CVPR 2018), AlexNet, version 0.1; 0 for equal images, lower is better.

    Args:
        restored: ``(B, 3, H, W)``, RGB; values are clamped to [0, 1].
        sharp: same shape.
        weights: file of AlexNet's ImageNet weights; None looks where torchvision would have put it.

    Returns:
        ``(B,)``, without gradient, in ``restored``'s dtype (computed in float32).

    Raises:
        UserError: the weights are missing or unreadable.
        ValueError: shapes that differ, or fewer than 31 pixels a side.
    """
    if restored.shape != sharp.shape or restored.ndim != 4 or restored.shape[1] != 3:
        raise ValueError(f"restored {tuple(restored.shape)} and sharp {tuple(sharp.shape)} must both be (B, 3, H, W)")
    if min(restored.shape[-2:]) < MIN_PX:
        raise ValueError(f"LPIPS needs at least {MIN_PX} pixels a side, not {restored.shape[-2]}×{restored.shape[-1]}")
    file = lpips_weights(weights)
    if file is None:
        raise UserError(f"LPIPS is not available: {_remedy()}")
    network = lpips_network(file.resolve(), restored.device)
    with torch.no_grad(), torch.autocast(restored.device.type, enabled=False):
        images = (2 * image.float().clamp(0, 1) - 1 for image in (restored, sharp))
        return network(*images).flatten().to(restored.dtype)


@lru_cache(maxsize=2)
def lpips_network(file: Path, device: torch.device) -> nn.Module:
    """The frozen network behind :func:`lpips`: two images ``(B, 3, H, W)`` in [-1, 1] to ``(B, 1, 1, 1)``.

    Raises:
        UserError: the weights are unreadable or not AlexNet's.
    """
    from lpips import LPIPS

    # Its random start, overwritten below, must not move the random numbers of a training that measures in between.
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*'pretrained'.*")  # torchvision's word to the lpips package
        warnings.filterwarnings("ignore", message=".*'weights'.*")
        network = LPIPS(net="alex", pnet_rand=True, verbose=False)
    # AlexNet's convolutions are `features.<i>` in the file; the package calls them `slice<k>.<i>`, i being the same.
    places = {key.split(".", 1)[1]: key for key in network.net.state_dict()}
    trunk = read_weights(file)
    shapes = {f"features.{key}": network.net.state_dict()[place].shape for key, place in places.items()}
    if not isinstance(trunk, dict) or any(getattr(trunk.get(key), "shape", None) != shapes[key] for key in shapes):
        raise UserError(f"LPIPS weights {file} are not those of AlexNet: {_remedy()}")
    network.net.load_state_dict({place: trunk[f"features.{key}"] for key, place in places.items()})
    return network.requires_grad_(False).eval().to(device)


def _remedy() -> str:
    place = Path(torch.hub.get_dir()) / "checkpoints" / FILE
    return f"get torchvision's AlexNet ImageNet weights (file {FILE}) and put them at {place}, or give their path"
