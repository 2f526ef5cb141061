"""Restoring pictures in one line of Python: files, PIL images, NumPy arrays and tensors, the same kind out."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.network import blur_radius, check_takes_pictures, ready
from jdrl_lightning.inference.tiles import restore
from jdrl_lightning.io.image import read_image, read_picture
from jdrl_lightning.types import to_float, to_uint

__all__ = ["Restorer"]

TILE, OVERLAP = 1184, 208  # px
MODES = ("RGB", "RGBA", "L", "LA")

Picture = TypeVar("Picture", Image.Image, np.ndarray, Tensor)


class Restorer:
    """Restores pictures of any size, tile by tile.

    Args:
        backbone: a trained network, on the device where it is to compute; it is put into eval mode.
        tile: longest side of the tiles, px: bounds the memory.
        overlap: px that neighbouring tiles share and blend.

    Raises:
        UserError: the network takes both dual-pixel views.
    """

    def __init__(self, backbone: Backbone, tile: int = TILE, overlap: int = OVERLAP) -> None:
        check_takes_pictures(backbone)
        self.backbone, self.tile, self.overlap = backbone, tile, overlap
        self._restore = ready(backbone)

    @property
    def identity(self) -> str:
        """Name of the network and a digest of its weights."""
        digest = blake2b(digest_size=8)
        for tensor in self.backbone.state_dict().values():
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
        return f"{self.backbone.name} {digest.hexdigest()}"

    def restore(self, picture: str | os.PathLike[str] | Picture) -> Any:
        """Restore a picture.

        Args:
            picture: path of an 8-bit image; PIL image (RGB or grey, with or without alpha, which is kept); NumPy array
                ``(H, W, 3)``, uint8, uint16 or float in [0, 1]; or tensor ``(3, H, W)`` of the same types.

        Returns:
            The same kind, size and type; a PIL image for a path.

        Raises:
            UserError: a picture of another kind, or a file that cannot be read.
        """
        given: Any = _open(Path(picture)) if isinstance(picture, str | os.PathLike) else picture
        if isinstance(given, Image.Image):
            return _like_pil(self._tiled(self._restore, _from_pil(given)), given)
        if isinstance(given, np.ndarray):
            image = _from_numpy(given)
            restored = self._tiled(self._restore, to_float(image))
            return _cast(restored, image.dtype).permute(1, 2, 0).contiguous().numpy()
        tensor = _checked(given)
        return _cast(self._tiled(self._restore, to_float(tensor)), tensor.dtype).to(tensor.device)

    def blur_map(self, picture: str | os.PathLike[str] | Picture) -> Any:
        """The predicted radius of the circle of confusion, pixels, of a picture as :meth:`restore` takes it.

        A file may have 16 bits here.

        Returns:
            ``(H, W)`` float32: a tensor for a tensor, otherwise a NumPy array.

        Raises:
            UserError: as :meth:`restore`; or the network predicts no such map.
        """
        given: Any = picture
        if isinstance(given, str | os.PathLike):
            image = to_float(read_image(Path(given)))
        elif isinstance(given, Image.Image):
            image = _from_pil(given)
        else:
            image = to_float(_from_numpy(given) if isinstance(given, np.ndarray) else _checked(given))
        radius = self._tiled(blur_radius(self.backbone), image)[0]
        return radius.to(given.device) if isinstance(given, Tensor) else radius.numpy()

    def _tiled(self, network: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
        device = next(self.backbone.parameters()).device
        with torch.inference_mode():
            whole = restore(
                network, image[None].float().to(device), self.tile, self.overlap, self.backbone.divisor
            )[0]  # fmt: skip
        return whole.cpu().clone()


def _open(path: Path) -> Image.Image:
    picture = read_picture(path)
    if picture.depth > 8:
        raise UserError(f"{path}: {picture.depth} bits, which PIL cannot hold; give its pixels as a uint16 array")
    pixels = picture.image[:1] if picture.grey else picture.image
    if picture.alpha is not None:
        pixels = torch.cat([pixels, picture.alpha])
    array = pixels.permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _from_pil(picture: Image.Image) -> Tensor:
    if picture.mode not in MODES:
        raise UserError(f"a PIL image of mode {picture.mode!r} is not one of {', '.join(MODES)}; convert it first")
    return to_float(torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1))


def _like_pil(restored: Tensor, picture: Image.Image) -> Image.Image:
    done = Image.fromarray(to_uint(restored).permute(1, 2, 0).contiguous().numpy())
    if picture.mode in ("L", "LA"):
        done = done.convert("L")
    if picture.mode in ("RGBA", "LA"):
        done.putalpha(picture.getchannel("A"))
    return done


def _from_numpy(picture: np.ndarray) -> Tensor:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise UserError(f"an array {picture.shape} is not (height, width, 3)")
    return _checked(torch.from_numpy(np.require(picture, requirements=["C", "W"])).permute(2, 0, 1))


def _checked(picture: Tensor) -> Tensor:
    if not isinstance(picture, Tensor):
        raise UserError(f"{type(picture).__name__} is not a path, PIL image, NumPy array or tensor")
    if picture.ndim != 3 or len(picture) != 3:
        raise UserError(f"a tensor {tuple(picture.shape)} is not (3, height, width)")
    if not picture.is_floating_point() and picture.dtype not in (torch.uint8, torch.uint16):
        raise UserError(f"{picture.dtype} is not uint8, uint16 or float")
    return picture


def _cast(restored: Tensor, dtype: torch.dtype) -> Tensor:
    depth = {torch.uint8: 8, torch.uint16: 16}.get(dtype)
    return to_uint(restored, depth) if depth else restored.to(dtype)
