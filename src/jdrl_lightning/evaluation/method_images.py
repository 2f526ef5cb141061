"""Images as methods: those of a folder, restored elsewhere, and the blurry inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.methods import Look, Method
from jdrl_lightning.io.image import header, image_files, read_image
from jdrl_lightning.metrics.protocols import crop
from jdrl_lightning.types import Pair, to_float

__all__ = ["file_stem", "folder", "identity"]


def folder(config: Mapping[str, Any], device: torch.device) -> Method:
    """Images restored by any method: in ``config["restored"]``, named like the blurry ones, except for the suffix.

    An image is as large as the blurry one, before or after the protocol's crop.
    """
    root, rule = Path(str(config["restored"])), config["crop"]
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give restored=<folder of restored images>")
    files: dict[str, Path] = {}
    for path in image_files(root):
        if path.stem in files:
            raise UserError(f"{files[path.stem]} and {path} have the same name; remove one of them")
        files[path.stem] = path

    def check(images: Sequence[Look]) -> None:
        missing = [image.name for image in images if file_stem(image.name) not in files]
        if missing:
            more = f" (nor of {len(missing) - 1} more)" if len(missing) > 1 else ""
            raise UserError(
                f"{root / file_stem(missing[0])}.png: no such image{more}; call restored images as the blurry ones"
            )
        for image in images:
            path = files[file_stem(image.name)]
            size = crop(torch.empty(header(path)[:2]), rule).shape
            if size != (image.height, image.width):
                raise UserError(
                    f"{path}: {size[1]}x{size[0]} pixels, but {image.name} has {image.width}x{image.height}; give "
                    "images that are neither scaled nor cropped in another way (see crop=…)"
                )

    def restore(pair: Pair) -> Tensor:
        image = read_image(files[file_stem(pair.name[0])]).to(pair.blurry.device)
        return crop(to_float(image), rule)[None]

    return Method(root.absolute().name, restore, (f"Restored images of {root}.",), check=check, makes_images=False)


def identity(config: Mapping[str, Any], device: torch.device) -> Method:
    """The blurry image itself: the least a method must beat."""
    return Method("identity", lambda pair: pair.blurry, ("The blurry images themselves.",), makes_images=False)


def file_stem(name: str) -> str:
    """An image's name as a file name: path separators become ``_``, and so does a leading dot."""
    stem = name.replace("/", "_").replace("\\", "_")
    return f"_{stem[1:]}" if stem.startswith(".") else stem
