"""What trainings on one real focus stack make of another: ``python benchmarks/real_stacks.py STACK STACK``

Each stack is reduced, fused and written as ``prepare stack`` does. The shipped network is fine-tuned on the pairs of
one, last weights are measured on the frames of the other, and the other way round. There is no truth: see
stack_frames.py for what is measured. Results lie in ``--folder``, one CSV file for each training, and restored pictures
beside them; what is there is not trained again. ``--set`` changes settings of every row: give it another folder.
"""

from __future__ import annotations

import argparse
import csv
import logging
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch

import jdrl_lightning
from jdrl_lightning.data.pairing import PairPaths
from jdrl_lightning.demo.comparison import QUIET, compose_training, train_row
from jdrl_lightning.errors import UserError
from jdrl_lightning.inference.restorer import Restorer
from jdrl_lightning.io.image import read_image, read_picture, write_image
from jdrl_lightning.metrics.report import bootstrap_interval, paired_interval
from jdrl_lightning.preparation.align import align_files
from jdrl_lightning.preparation.stack import Stack, fuse_stack
from jdrl_lightning.preparation.stack_files import write_stack
from jdrl_lightning.preparation.stack_folders import find_stacks, reference_of
from jdrl_lightning.types import to_float, to_uint
from stack_frames import Quality, Scene, quality, read_reduced, scene

EPOCHS, BATCH, CROP = 10, 8, 96
FLOW = "flow"  # the row whose sharp pictures are warped in advance by the flow that fused the stack
ROWS: dict[str, tuple[str, ...]] = {
    "input": (),
    "shipped": (),
    "pixel-wise": ("data=stack", "objective=charbonnier"),
    "registered": ("data=folder", "data.pairs=pairs.csv", "objective=charbonnier"),
    "jdrl": ("data=stack", "objective=jdrl_quick"),
    FLOW: ("data=stack", "objective=charbonnier"),
    "fused": (),
}
UNTRAINED = ("input", "shipped", "fused")
HEADS = {
    "psnr_blurred": ("PSNR where blurred, dB", 2), "psnr_sharp": ("PSNR where sharp, dB", 2), "ssim": ("SSIM", 3),
    "moved_px": ("moved, px", 3), "detail_blurred": ("fine detail where blurred", 2),
    "detail_sharp": ("where sharp", 2),
}  # fmt: skip


class Line(NamedTuple):
    """One frame of one training."""

    row: str
    seed: int
    stack: str
    frame: str
    quality: Quality


@dataclass
class Prepared:
    """A fused stack: its name, and its pairs (blurry, sharp) by the row that trains on them."""

    name: str
    stack: Stack
    pairs: dict[str, list[tuple[Path, Path]]]

    @cached_property
    def scenes(self) -> list[Scene]:
        """Its frames to be tested on."""
        frames = [blurry for blurry, _ in self.pairs["jdrl"]]
        return [scene(file.stem, to_float(read_image(file))[None], self.stack, n) for n, file in enumerate(frames)]


def prepared(source: Path, root: Path, size: int) -> Prepared:
    """Reduce, fuse and write a stack below ``root``, and its pairs registered by an affine motion."""
    name, small = source.resolve().name, root / "small" / source.resolve().name
    for file in find_stacks(source, "frame_*")[name]:
        write_image(small / f"{file.stem}.png", to_uint(read_reduced(file, size)[0], 8))
    files = find_stacks(small)[name]
    reference, pictures = reference_of(files, "middle"), [read_picture(file) for file in files]
    stack = fuse_stack([picture.image for picture in pictures], [str(file) for file in files], reference)
    by_flow = write_stack(root / "stacks" / name, files, pictures, stack, reference, "flow")
    plain = [(blurry, root / "stacks" / name / "sharp.png") for blurry, _ in by_flow]
    places = [PairPaths(blurry.stem, blurry, sharp) for blurry, sharp in plain]
    aligned = [found.name for found in align_files(places, root / "aligned" / name, torch.device("cpu"), True)
               if not found.problem]  # fmt: skip
    folder = root / "aligned" / name
    affine = [(folder / "blur" / f"{frame}.png", folder / "gt" / f"{frame}.png") for frame in aligned]
    return Prepared(name, stack, {"pixel-wise": plain, "jdrl": plain, FLOW: by_flow, "registered": affine})


def settings(row: str, seed: int, steps: int, root: Path, train: Prepared, test: Prepared) -> list[str]:
    """Write the list of the pairs of ``row`` and return the settings of its training.

    The other stack stands in the list as validation, which a training asks for, but nothing is validated.
    """
    home = root / ("aligned" if row == "registered" else "stacks")
    lines = [(*pair, split) for stack, split in ((train, "train"), (test, "val")) for pair in stack.pairs[row]]
    with (home / "pairs.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("blurry", "sharp", "split"))
        writer.writerows((blurry.relative_to(home), sharp.relative_to(home), split) for blurry, sharp, split in lines)
    epochs = min(EPOCHS, steps)
    repeat = math.ceil(steps / epochs * BATCH / len(train.pairs[row]))
    return [
        "experiment=finetune", *QUIET, *ROWS[row], f"seed={seed}", f"data.root='{home}'", f"data.crop={CROP}",
        f"data.batch_size={BATCH}", f"data.repeat={repeat}", f"trainer.max_epochs={epochs}",
        f"+trainer.max_steps={steps}", "trainer.limit_val_batches=0", "callbacks.best=null", "data.num_workers=0",
    ]  # fmt: skip


def measured(row: str, seed: int, test: Prepared, restorer: Restorer | None, root: Path) -> list[Line]:
    """A line for each frame of ``test``, whose pictures are written."""
    lines = []
    for one in test.scenes:
        restored = one.blurry if restorer is None else restorer.restore(one.blurry[0])[None].clamp(0, 1)
        picture = one.target if row == "fused" else restored
        file = root / "restored" / f"{row}_seed{seed}" / test.name / f"{one.name}.png"
        write_image(file, to_uint(picture[0], 8))
        lines.append(Line(row, seed, test.name, one.name, quality(picture, one)))
    return lines


def trained(words: Sequence[str]) -> Restorer:
    """The network that a training ends with."""
    with tempfile.TemporaryDirectory() as run:
        module, _, _ = train_row(compose_training(Path(run), words), Path(run))
    return Restorer(module.backbone)


def table(lines: Sequence[Line], stack: str) -> str:
    """Means over the frames of ``stack`` with 95 % bootstrap intervals, of each frame the mean over the seeds."""
    heads = [f"{head} (95 %)" for head, _ in HEADS.values()]
    text = [f"| on {stack} | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for row in ROWS:
        values = [(list(by_frame(lines, row, stack, key).values()), digits) for key, (_, digits) in HEADS.items()]
        if any(each for each, _ in values):
            text.append(f"| {row} | {' | '.join(_cell(*each) for each in values)} |")
    return "\n".join(text)


def differences(lines: Sequence[Line], stack: str) -> str:
    """PSNR of ``jdrl`` where frames are blurred less that of each other row, paired by frame."""
    ours, found = by_frame(lines, "jdrl", stack, "psnr_blurred"), []
    for row in ("input", "shipped", "pixel-wise", "registered", FLOW):
        theirs = by_frame(lines, row, stack, "psnr_blurred")
        common = [frame for frame in ours if frame in theirs]
        if common:
            one, other = ([side[frame] for frame in common] for side in (ours, theirs))
            low, high = paired_interval(one, other)
            found.append(f"{row} {statistics.mean(one) - statistics.mean(other):+.2f} ({low:+.2f} to {high:+.2f})")
    return f"jdrl on {stack}, PSNR where blurred, dB, against " + ", ".join(found)


def by_frame(lines: Iterable[Line], row: str, stack: str, key: str) -> dict[str, float]:
    """Mean over the seeds by frame, of those that have the area."""
    values: dict[str, list[float]] = {}
    for line in lines:
        value = getattr(line.quality, key)
        if line.row == row and line.stack == stack and math.isfinite(value):
            values.setdefault(line.frame, []).append(value)
    return {frame: statistics.mean(each) for frame, each in values.items()}


def read_lines(file: Path) -> list[Line]:
    """What :func:`write_lines` wrote."""
    with file.open(newline="") as stream:
        return [
            Line(row["row"], int(row["seed"]), row["stack"], row["frame"],
                 Quality(*(float(row[key]) for key in Quality._fields)))
            for row in csv.DictReader(stream)
        ]  # fmt: skip


def write_lines(file: Path, lines: Sequence[Line]) -> None:
    """A CSV file, whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow((*Line._fields[:-1], *Quality._fields))
        writer.writerows((*line[:-1], *line.quality) for line in lines)
    part.replace(file)


def _cell(values: Sequence[float], digits: int) -> str:
    if not values:
        return "–"
    low, high = bootstrap_interval(values)
    return f"{statistics.mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main(arguments: list[str] | None = None) -> None:
    """Train and measure what the folder does not hold yet; print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", nargs=2, type=Path, help="folders with frame_*")
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--size", type=int, default=1024, help="longest side of the frames, px")
    parser.add_argument("--folder", type=Path, default=Path("outputs/real_stacks"))
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of every training")
    given = parser.parse_args(arguments)
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    root = given.folder.resolve()
    try:
        names = [source.resolve().name for source in given.stacks]
        wanted = [
            (root / f"{row}_seed{seed}_on_{name}.csv", row, seed, name)
            for seed in given.seeds
            for row in ROWS
            for name in names[::-1]
            if seed == given.seeds[0] or row not in UNTRAINED
        ]
        if not all(file.exists() for file, *_ in wanted):
            stacks = {
                name: prepared(source, root, given.size) for name, source in zip(names, given.stacks, strict=True)
            }
            print(f"{' and '.join(names)} are prepared", flush=True)
        for file, row, seed, name in wanted:
            if file.exists():
                continue
            started = time.monotonic()
            restorer = jdrl_lightning.load() if row == "shipped" else None
            if row not in UNTRAINED:
                (train,) = (stack for stack in stacks.values() if stack.name != name)
                words = settings(row, seed, given.steps, root, train, stacks[name])
                restorer = trained([*words, *given.set])
            write_lines(file, measured(row, seed, stacks[name], restorer, root))
            print(f"{file.stem}: {time.monotonic() - started:.0f} s", flush=True)
        lines = [line for file, *_ in wanted for line in read_lines(file)]
        for name in names:
            print(f"\n{table(lines, name)}\n\n{differences(lines, name)}", flush=True)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
