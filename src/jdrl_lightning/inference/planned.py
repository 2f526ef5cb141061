"""Which file of a batch becomes which, checked before any is restored."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from jdrl_lightning.errors import UserError
from jdrl_lightning.io.image import JPEG, SUFFIXES, header, image_files, written_suffix

__all__ = ["blur_map_file", "planned"]

LONGEST_NAME = 255  # bytes
log = logging.getLogger(__name__)


def planned(
    source: Path, output: Path, overwrite: bool, blur_map: bool = False, resume: bool = False
) -> list[tuple[Path, Path]]:
    """Input and output files, all checked before the first is restored.

    With ``resume``, files whose output exists are left out: outputs appear complete or not at all.

    Raises:
        UserError: nothing to restore, a file that is not an image, an output that is not a folder, two inputs with the
            same output, an output that exists or cannot hold the bit depth.
    """
    if overwrite and resume:
        raise UserError("overwrite=true and resume=true exclude each other; give one of them")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give input=<image or folder>")
    files = image_files(source) if source.is_dir() else [source]
    if not files:
        raise UserError(f"{source}: holds no images ({', '.join(SUFFIXES)})")
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; give output=<folder>")
    jobs: dict[Path, Path] = {}
    for file in files:
        target = output / (file.stem + written_suffix(file))
        if target in jobs:
            raise UserError(f"{file} and {jobs[target]} would both be written to {target}; restore them one by one")
        jobs[target] = file
    done = {target for target in jobs if _finished(target, overwrite, blur_map, resume)}
    if done:
        log.info("%s: %d of %d are there already and left out", output, len(done), len(files))
    for target in done:
        del jobs[target]
    for target, file in jobs.items():
        depth = header(file).depth
        if depth > 8 and target.suffix.lower() in JPEG:
            raise UserError(f"{file}: a {depth}-bit picture, which {target} cannot hold; name it .png or .tif")
    return [(file, target) for target, file in jobs.items()]


def _finished(target: Path, overwrite: bool, blur_map: bool, resume: bool) -> bool:
    """Whether ``resume`` leaves out the file that becomes ``target``, which exists with its blur map."""
    results = (target, blur_map_file(target)) if blur_map else (target,)
    for path in results:
        if len(os.fsencode(path.name)) > LONGEST_NAME:
            raise UserError(f"{path}: the file name is too long; shorten that of the input")
    existing = [path for path in results if path.exists()]
    if resume and target in existing:
        if len(existing) < len(results):
            raise UserError(f"{target}: exists without its blur map; give another output=… or overwrite=true")
        return True
    if existing and not (overwrite or resume):
        raise UserError(f"{existing[0]}: exists; give another output=…, overwrite=true, or resume=true to go on")
    return False


def blur_map_file(target: Path) -> Path:
    """Where the blur map of a restored file goes."""
    return target.with_name(f"{target.stem}_blur.png")
