"""Which file of a batch becomes which, checked before any is restored."""

from __future__ import annotations

import logging
import os
from itertools import groupby
from pathlib import Path

from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.output_names import blur_map_file, output_names
from jdrl_lightning.io.folder import SUFFIXES, folders_from, image_files
from jdrl_lightning.io.image import header
from jdrl_lightning.io.written import misfit

__all__ = ["check_output", "planned"]

LONGEST_NAME = 255  # bytes
log = logging.getLogger(__name__)


def planned(
    source: Path, output: Path, overwrite: bool, blur_map: bool = False, resume: bool = False, recursive: bool = False
) -> list[tuple[Path, Path]]:
    """Input and output files, all checked before the first is restored.

    ``output`` is a folder, or the file that a single picture becomes. Files of a folder that cannot be restored come
    first, so that they are named at once. With ``resume``, files whose output exists are left out: outputs appear
    complete or not at all. With ``recursive``, subfolders keep their structure.

    Raises:
        UserError: nothing to restore, a single file that is not an image or that its output cannot hold, an output that
            is not a folder or that exists.
    """
    if overwrite and resume:
        raise UserError("overwrite=true and resume=true exclude each other; give one of them")
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; give input=<image or folder>")
    single = not source.is_dir()
    if output.exists() and not output.is_dir() and (not single or output.samefile(source)):
        raise UserError(f"{output}: is a file; give output=<folder>")
    if single and output.suffix.lower() in SUFFIXES and not output.is_dir():
        jobs = [(source, output)]
    else:
        jobs = _targets(source, output, [source] if single else _files(source, output, recursive), blur_map)
    left = [(file, target) for file, target in jobs if not _finished(target, overwrite, blur_map, resume)]
    if len(left) < len(jobs):
        log.info("%s: %d of %d are there already and left out", output, len(jobs) - len(left), len(jobs))
    return sorted(left, key=lambda job: _restorable(job[0], job[1], single))  # False comes first


def check_output(file: Path, target: Path, depth: int, alpha: bool = False, others: int = 0) -> None:
    """Check that ``target`` can hold what ``file`` holds; see :func:`misfit`.

    Raises:
        UserError: it cannot.
    """
    if problem := misfit(target, depth, alpha, others):
        kind, suffixes = problem
        raise UserError(f"{file}: {kind}, which {target} cannot hold; name it {suffixes}")


def _files(folder: Path, output: Path, recursive: bool) -> list[Path]:
    """The pictures of ``folder``, folder by folder; those of ``output`` within it are left out.

    Raises:
        UserError: there are none.
    """
    folders = folders_from(folder, without=output)
    files = [file for place in (folders if recursive else [folder]) for file in image_files(place)]
    below = not recursive and any(place != folder and _holds_pictures(place) for place in folders)
    if not files:
        remedy = "; its subfolders do: give recursive=true" if below else ""
        raise UserError(f"{folder}: holds no images ({', '.join(SUFFIXES)}){remedy}")
    if below:
        log.warning("%s: the pictures in its subfolders are left out; recursive=true restores them too", folder)
    return files


def _holds_pictures(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES and not path.name.startswith(".") for path in folder.iterdir())


def _targets(source: Path, output: Path, files: list[Path], blur_map: bool) -> list[tuple[Path, Path]]:
    """Each file and what it becomes, no two the same."""
    jobs: list[tuple[Path, Path]] = []
    for folder, group in groupby(files, key=lambda file: file.parent):
        inside = output / folder.relative_to(source) if source.is_dir() else output
        inputs = list(group)
        made = output_names([file.name for file in inputs], blur_map)
        jobs += [(file, inside / made[file.name]) for file in inputs]
    return jobs


def _restorable(file: Path, target: Path, alone: bool) -> bool:
    """Whether ``file`` can be read, by its header, and written as ``target``; if it is the only one, it must."""
    try:
        check_output(file, target, header(file).depth)
    except UserError:
        if alone:
            raise
        return False
    return True


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
