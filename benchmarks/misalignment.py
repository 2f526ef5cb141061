"""What misalignment costs each way of training: ``python benchmarks/misalignment.py``, which resumes where it stopped.

Pairs are rendered with a kind (``data.misalignment``) and mean size (px) of displacement, a network is trained on them
by each row's method, with everything else equal (conf/experiment/misalignment.yaml), and its last weights are evaluated
on held-out images against the ground truth. ``input`` and ``aligned_ceiling`` do not depend on the displacement and are
shared.

Small (``--form small``, two cores): scikit-image's photographs, 288 steps of four 96 px crops, like the demonstration;
142 trainings of one to three minutes on one core. To use both cores, start a second one with ``--cases biased_4
random_4``. Large (``--form large --root FOLDER``): every kind and size, a network with nine times as many weights, at
least 60 training and 24 test photographs, a GPU. ``--draw`` redraws table and figure from the CSV file.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jdrl_lightning.errors import UserError
from misalignment_figure import draw
from misalignment_table import Case, Line, read_lines, write_lines

# Mean length of the flow over the training frames at data.amplitude=1, seeds 0 to 2; it grows in proportion.
MEAN_PX = {"random": 3.57, "biased": 3.61, "nonrigid": 3.72}
NONE = Case("none", 0)
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
WARP_ONLY = ("objective=jdrl_robust", "objective.alpha=0", "objective.warmup_epochs=1000")
ROWS: dict[str, tuple[str, ...]] = {
    "input": (),
    "charbonnier": ("objective=charbonnier",),
    "prealign": ("objective=charbonnier", "data.register=affine"),
    "contextual": ("objective=contextual",),
    "shift_search": ("objective=shift_search",),
    "warp_only": WARP_ONLY,
    "jdrl": ("objective=jdrl",),
    "jdrl_official": ("objective=jdrl_official",),
    "jdrl_robust": ("objective=jdrl_robust",),
    "jdrl_picture": ("objective=jdrl_robust", "objective.flow_of=picture"),
    "oracle": (*WARP_ONLY, "flow=oracle"),
    "aligned_ceiling": ("objective=charbonnier",),
}
SHARED = ("input", "aligned_ceiling")  # independent of the displacement: measured once, without any


class Form(NamedTuple):
    """How much is trained: seeds of each case, the most informative first; settings of every row and of JDRL's rows."""

    name: str
    cases: dict[Case, tuple[int, ...]]
    settings: tuple[str, ...]
    jdrl: tuple[str, ...]


SEEDS = (0, 1, 2)
FORMS = {
    "small": Form(
        "misalignment",
        {
            Case("nonrigid", 4): SEEDS,
            Case("nonrigid", 8): SEEDS,
            Case("nonrigid", 2): SEEDS[:1],
            NONE: SEEDS[:1],
            Case("biased", 4): SEEDS,
            Case("random", 4): SEEDS,
        },
        ("data.frames_per_photo.train=6", "data.repeat=8"),  # as many steps as of 12 frames, half the rendering
        ("objective.warmup_epochs=2", "objective.reblur.width=8"),
    ),
    "large": Form(
        "misalignment_large",
        {Case(preset, px): SEEDS for px in (4, 8, 2, 16, 1) for preset in ("nonrigid", "biased", "random")}
        | {NONE: SEEDS},
        (
            "backbone.width=48", "trainer.max_epochs=20", "trainer.check_val_every_n_epoch=20", "data.crop=192",
            "data.batch_size=8", "data.num_workers=8",
            "data.frames_per_photo={train: 4, val: 1, test: 4}",
        ),
        ("objective.warmup_epochs=7",),
    ),
}  # fmt: skip
LEAST = {"train": 60, "test": 24}  # photographs of the large form


def main(arguments: list[str] | None = None) -> None:
    """Train and measure what neither ``--folder`` nor ``--csv`` holds yet, then draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", default="small", choices=list(FORMS))
    parser.add_argument("--root", type=Path, help="folder of sharp photographs (default: those of scikit-image)")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--cases", nargs="+", help="for example nonrigid_4 none_0 (default: all of the form)")
    parser.add_argument("--seeds", type=int, nargs="+", help="a subset of the seeds that the form has for a case")
    parser.add_argument("--folder", type=Path, help="results of each training (default outputs/misalignment)")
    parser.add_argument("--csv", type=Path, help="all results; the page is written next to it")
    parser.add_argument("--figure", type=Path, help="(default docs/images/misalignment.png)")
    parser.add_argument("--draw", action="store_true", help="draw from --csv only")
    parser.add_argument("--choose-rate", action="store_true", help="only validate the learning rates, on aligned pairs")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of every row")
    given = parser.parse_args(arguments)
    form = FORMS[given.form]
    folder = given.folder or Path("outputs") / form.name
    table = given.csv or Path("docs/results") / f"{form.name}.csv"
    figure = given.figure or Path("docs/images") / f"{form.name}.png"
    settings = (*([f"data.root='{given.root}'"] if given.root else []), *given.set)
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    try:
        if given.draw:
            draw(table, figure)
            return
        if given.form == "large":
            check_photographs(given.root)
        if given.choose_rate:
            choose_rate(form, settings, given.seeds or SEEDS)
            return
        spread(table, folder)
        wanted = list(trainings(form, given))
        for number, (case, seed, row) in enumerate(wanted, 1):
            file = folder / f"{case}_seed{seed}_{row}.csv"
            if not file.exists():
                started = time.monotonic()
                lines = measured(row, case, seed, form, settings)
                write_lines(file, lines)
                psnr = statistics.mean(line.psnr for line in lines)
                summary = f"{case} seed {seed} {row}: {psnr:.2f} dB, {time.monotonic() - started:.0f} s"
                print(f"[{number}/{len(wanted)}] {summary}", flush=True)
                collect(folder, table)
        collect(folder, table)
        draw(table, figure)
    except UserError as error:
        sys.exit(f"error: {error}")


def spread(table: Path, folder: Path) -> None:
    """Write the table's lines of earlier runs to a file for each training that has none."""
    found: dict[Path, list[Line]] = {}
    for line in read_lines(table) if table.exists() else ():
        case = Case(line.preset, line.amplitude_px)
        found.setdefault(folder / f"{case}_seed{line.seed}_{line.row}.csv", []).append(line)
    for file, lines in found.items():
        if not file.exists():
            write_lines(file, lines)


def collect(folder: Path, table: Path) -> None:
    """Every training's figures in one file, including those of a process running at the same time."""
    write_lines(table, [line for part in folder.glob("*.csv") for line in read_lines(part)])


def trainings(form: Form, given: argparse.Namespace) -> Iterator[tuple[Case, int, str]]:
    """What is asked for, in the order in which it is trained; what cases share comes with the first of a seed."""
    cases = {str(case): (case, seeds) for case, seeds in form.cases.items()}
    unknown = set(given.cases or ()) - set(cases)
    if unknown:
        raise UserError(f"--cases {' '.join(sorted(unknown))}: this form has {' '.join(cases)}")
    done = set()
    for case, seeds in (cases[name] for name in given.cases or cases):
        for seed in seeds:
            if given.seeds and seed not in given.seeds:
                continue
            for row in given.rows:
                if row == "charbonnier" and case == NONE:  # the same as aligned_ceiling
                    continue
                training = (NONE if row in SHARED else case, seed, row)
                if training not in done:
                    done.add(training)
                    yield training


def measured(row: str, case: Case, seed: int, form: Form, settings: Sequence[str]) -> list[Line]:
    """Train ``row`` (``input``: nothing) and measure the test images; a line for each photograph."""
    from jdrl_lightning import build
    from jdrl_lightning.demo.comparison import as_batches, measure_images, train_row

    module = None
    if row != "input":
        with tempfile.TemporaryDirectory() as run:
            module, _, _ = train_row(composed(row, case, seed, form, settings, Path(run)), Path(run))
        module = module.to(build.device("auto"))
    # Blur, noise and the truth in place are the same for every case: displacement moves only the sharp shot.
    of_data = [setting for setting in settings if setting.startswith("data")]  # others may be of this row's objective
    config = composed("aligned_ceiling", NONE, seed, form, of_data, Path("unused"))
    pairs = as_batches(build.datamodule(config).pairs("test"))
    images, _ = measure_images(module, pairs)
    photographs = [str(pair.name[0]).rpartition("_")[0] for pair in pairs]
    lines = []
    for photograph in dict.fromkeys(photographs):
        here = [name == photograph for name in photographs]
        mean = {measure: round(float(values[here].mean()), 5) for measure, values in images.items()}
        figures = (mean[measure] for measure in ("psnr", "psnr_interior", "ssim", "placement_px"))
        lines.append(Line(row, case.preset, case.px, seed, photograph, *figures))
    return lines


def composed(row: str, case: Case, seed: int, form: Form, settings: Sequence[str], run: Path) -> dict[str, object]:
    """The plain config of one training."""
    from jdrl_lightning.demo.comparison import QUIET, compose_training

    amplitude = case.px / MEAN_PX.get(case.preset, 1.0)
    data = (f"data.misalignment={case.preset}", f"data.amplitude={amplitude:.4f}", f"seed={seed}")
    own = (*(form.jdrl if "jdrl" in row else ()), *ROWS[row])
    return compose_training(run, ["experiment=misalignment", *QUIET, *data, *own, *form.settings, *settings])


def choose_rate(form: Form, settings: Sequence[str], seeds: Sequence[int]) -> None:
    """Print the PSNR of ``aligned_ceiling`` on the validation photographs at each rate."""
    from jdrl_lightning.demo.comparison import train_row

    for rate in RATES:
        ends = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as run:
                more = (*settings, f"optim.optimizer.lr={rate}")
                config = composed("aligned_ceiling", NONE, seed, form, more, Path(run))
                ends.append(train_row(config, Path(run))[2][-1][1])
        each = ", ".join(f"{end:.2f}" for end in ends)
        print(f"rate {rate:g}: {statistics.mean(ends):.2f} dB on validation ({each})", flush=True)


def check_photographs(root: Path | None) -> None:
    """Refuse a folder with too few photographs for the large form."""
    from jdrl_lightning.data.synthetic.photographs import from_folder

    if root is None:
        raise UserError("--form large needs --root=<folder of sharp photographs>")
    for split, least in LEAST.items():
        found = len(from_folder(root, split, 1))
        if found < least:
            raise UserError(
                f"{root}: its {split} split has {found} photographs and --form large needs {least}; a tenth of the "
                f"folder is for testing, so give it {10 * LEAST['test']} or more"
            )


if __name__ == "__main__":
    main()
