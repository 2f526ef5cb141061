"""Focus stacks from folders of frames to folders of pairs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.data.splits import hash_split
from jdrl_lightning.data.stack_pairs import LIST, valid_path
from jdrl_lightning.errors import UserError, check_choice
from jdrl_lightning.flow.warp import in_frame, invert, warp
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.io.image import Picture, read_picture, write_image
from jdrl_lightning.preparation.stack import Stack, fuse_stack
from jdrl_lightning.preparation.stack_folders import find_stacks, reference_of
from jdrl_lightning.preparation.stack_register import resized_flow
from jdrl_lightning.preparation.stack_report import pictured, write_report
from jdrl_lightning.preparation.write_pairs import check_apart
from jdrl_lightning.types import to_float, to_uint

__all__ = ["prepare_stacks"]


def prepare_stacks(
    input: str | Path,
    output: str | Path,
    frames: str = "*",
    reference: str = "middle",
    register: str = "none",
    val_fraction: float = 0.1,
    overwrite: bool = False,
    show: Callable[[int, int], None] = lambda done, total: None,
) -> str:
    """Fuse the stacks of ``input``; write ``output/{pairs.csv,report.html}`` and, for each stack, its pairs.

    ``output/<stack>`` gets ``frames/<frame>.png``, ``sharp.png``, ``valid.png`` (255 where that can be trusted, else 0)
    and ``depth.png`` (16 bits: 0 where the first frame is sharpest, 65535 where the last is); with ``register="flow"``
    also ``sharp/<frame>.png`` and ``valid/<frame>.png``, the same warped onto each frame. Frames keep their depth and
    get the reference's exposure. Stacks, never frames, are held out for validation; a single one is for training.

    Args:
        input, frames: see :func:`find_stacks`.
        output: folder to write to.
        reference: see :func:`reference_of`: the frame whose geometry and exposure the fused picture gets.
        register: ``none``: one picture for all frames of a stack; ``flow``: one for each, warped onto it.
        val_fraction: share of the stacks that is held out for validation, at least one of two or more.
        overwrite: write over what is there.
        show: called with (frames done, all frames).

    Returns:
        What was made, in a sentence.

    Raises:
        UserError: something is in the way; or see :func:`find_stacks` and :func:`fuse_stack`.
    """
    folder, output = Path(input), Path(output)
    check_choice("register", register, ("none", "flow"))
    check_apart(output, folder, "input")
    if (output / LIST).exists() and not overwrite:
        raise UserError(f"{output / LIST}: exists; give another output=… or overwrite=true")
    stacks = find_stacks(folder, frames)
    references = {name: reference_of(files, reference) for name, files in stacks.items()}
    splits = _splits(list(stacks), val_fraction, folder)
    total = sum(map(len, stacks.values()))
    counted = iter(range(1, total + 1))
    rows, shown = [["blurry", "sharp", "split"]], {}
    for name, files in stacks.items():
        pictures = [read_picture(file) for file in files]
        images, names = [picture.image for picture in pictures], [str(file) for file in files]
        stack = fuse_stack(images, names, references[name], lambda: show(next(counted), total))
        for blurry, sharp in write_stack(output / name, files, pictures, stack, references[name], register):
            rows.append([blurry.relative_to(output).as_posix(), sharp.relative_to(output).as_posix(), splits[name]])
        shown[name] = pictured(stack, images, references[name])
    with atomic_write(output / LIST, "w") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    write_report(output / "report.html", shown)
    held_out = sum(split == "val" for split in splits.values())
    text = f"{total} pairs of {len(stacks)} stacks, {held_out} held out for validation: {output / 'report.html'}"
    return text if held_out else f"{text}; training needs some, so add a stack"


def write_stack(
    folder: Path, files: Sequence[Path], pictures: Sequence[Picture], stack: Stack, reference: int, register: str
) -> list[tuple[Path, Path]]:
    """Write one stack, see :func:`prepare_stacks`; the blurry and the sharp image of each pair."""
    like, depth = pictures[reference], max(picture.depth for picture in pictures)

    def write(path: Path, image: Tensor, bits: int = depth) -> None:
        write_image(path, to_uint(image[0], bits), grey=like.grey, icc=like.icc, metadata=like.metadata)

    def write_map(path: Path, image: Tensor, bits: int = 8) -> None:
        write_image(path, to_uint(image[0], bits).repeat(3, 1, 1), grey=True)

    write(folder / "sharp.png", stack.image)
    write_map(folder / "valid.png", stack.valid)
    write_map(folder / "depth.png", stack.focus / (len(files) - 1), 16)
    pairs = []
    for file, picture, flow, frame in zip(files, pictures, stack.flows, stack.frames, strict=True):
        blurry, sharp = folder / "frames" / f"{file.stem}.png", folder / "sharp.png"
        image = picture.image
        if any(factor != 1 for factor in frame.exposure):
            image = to_uint(to_float(image) * torch.tensor(frame.exposure).view(3, 1, 1), picture.depth)
        write_image(blurry, image, grey=picture.grey, icc=picture.icc, metadata=picture.metadata)
        if register == "flow":
            sharp = folder / "sharp" / blurry.name
            back = resized_flow(invert(flow), *image.shape[-2:])
            write(sharp, warp(stack.image, back, mode="bicubic"))
            write_map(valid_path(sharp), (warp(stack.valid, back) > 0.99) * in_frame(back))
        pairs.append((blurry, sharp))
    return pairs


def _splits(names: Sequence[str], val_fraction: float, folder: Path) -> dict[str, str]:
    """The split of each stack."""
    if len(names) == 1:
        return {names[0]: "train"}
    places = [PairPaths(name, folder / name, None) for name in names]
    held_out = {one.name for one in hash_split(places, "val", val_fraction, folder, lambda place: place.name)}
    return {name: "val" if name in held_out else "train" for name in names}
