"""Which file of a batch becomes which, checked before any is restored."""

from __future__ import annotations

from pathlib import Path

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import header, image_files

__all__ = ["blur_map_file", "planned"]


def planned(source: Path, output: Path, overwrite: bool, blur_map: bool = False) -> list[tuple[Path, Path]]:
    """Input and output files, all checked before the first is restored.

    Raises:
        UserError: nothing to restore, a file that is not an image, an output that is not a folder, two inputs with the
            same output, an output that exists or cannot hold the bit depth.
    """
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give input=<image or folder>")
    files = image_files(source) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source}: holds no images (PNG, JPEG, TIFF)")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; give output=<folder>")
    jobs: dict[Path, Path] = {}
    for file in files:
        target = output / file.name
        if target.suffix.lower() not in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
            target = target.with_suffix(".png")
        if target in jobs:
            raise UserError(f"{file} and {jobs[target]} would both be written to {target}; restore them one by one")
        for made in (target, blur_map_file(target))[: 1 + blur_map]:
            if made.exists() and not overwrite:
                raise UserError(f"{made}: exists; give another output=… or overwrite=true")
        depth = header(file).depth
        if depth > 8 and target.suffix.lower() in (".jpg", ".jpeg"):
            raise UserError(f"{file}: a {depth}-bit picture, which {target} cannot hold; name it .png or .tif")
        jobs[target] = file
    return [(file, target) for target, file in jobs.items()]


def blur_map_file(target: Path) -> Path:
    """Where the blur map of a restored file goes."""
    return target.with_name(f"{target.stem}_blur.png")
