"""What misalignment costs each way of training: ``python benchmarks/misalignment.py --root PHOTOGRAPHS``

Pairs are rendered with a kind (``data.misalignment``) and mean size (px) of displacement; the network that comes with
the package is fitted to them by each row's method, with everything else equal (conf/experiment/misalignment.yaml), and
its last weights are evaluated on held-out images against the ground truth. ``input`` and ``aligned_ceiling`` do not
depend on the displacement and are shared. The folder holds photographs, or ``train/``, ``val/`` and ``test/`` with
such.

It goes on where it stopped, and says what is left and how long that takes. To use two cores, start it twice with
different ``--seeds`` or ``--cases``. ``--draw`` redraws table and figure from the CSV file.
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

from jdrl_lightning.errors import UserError
from misalignment_figure import draw
from misalignment_table import NONE, SHARED, Case, Line, read_lines, write_lines

# Mean length of the flow over the training frames at data.amplitude=1, seeds 0 to 2; it grows in proportion.
MEAN_PX = {"nonrigid": 3.72, "stack": 8.6}
SETTINGS = ("data.frames_per_photo={train: 2, val: 1, test: 1}",)
JOINT = ("objective.warmup_epochs=1",)  # of the rows with a joint stage
COARSE = ("objective.reblur.stride=4", "objective.reblur.width=32")  # changes no result: docs/results/objective.md
WARP_ONLY = ("objective=jdrl_robust", "objective.alpha=0", "objective.warmup_epochs=1000", "objective.flow_of=picture")
ROWS: dict[str, tuple[str, ...]] = {
    "input": (),
    "aligned_ceiling": ("objective=charbonnier",),
    "charbonnier": ("objective=charbonnier",),
    "prealign": ("objective=charbonnier", "data.register=affine"),
    "jdrl_robust": ("objective=jdrl_robust", *JOINT),
    "warp_only": WARP_ONLY,
    "oracle": (*WARP_ONLY, "flow=oracle", "objective.flow_of=crop"),
    "jdrl": ("objective=jdrl", *JOINT, *COARSE),
    "jdrl_official": ("objective=jdrl_official", *JOINT, *COARSE),
    "shift_search": ("objective=shift_search",),
    "jdrl_map": ("objective=jdrl_map", *JOINT),
    "mimicked": ("objective=mimicked", *COARSE),
    "gcm": ("objective=gcm",),
    "fdl": ("objective=fdl", "objective.projections=64"),
    "cobi": ("objective=cobi",),
}
RIVALS = ("jdrl_map", "mimicked", "gcm", "fdl", "cobi")  # trained on the hardest cases only
HARD = (Case("stack", 8.6), Case("nonrigid", 8))
CASES = (*HARD, Case("nonrigid", 4), NONE)
SEEDS = (0, 1, 2)


def main(arguments: list[str] | None = None) -> None:
    """Train and measure what neither ``--folder`` nor ``--csv`` holds yet, then draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="folder of sharp photographs (default: those of scikit-image)")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--cases", nargs="+", default=list(map(str, CASES)), choices=list(map(str, CASES)))
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--folder", type=Path, default=Path("outputs/misalignment"), help="results of each training")
    parser.add_argument("--csv", type=Path, default=Path("docs/results/misalignment.csv"), help="all; page beside it")
    parser.add_argument("--figure", type=Path, default=Path("docs/images/misalignment.png"))
    parser.add_argument("--draw", action="store_true", help="draw from --csv only")
    parser.add_argument("--backbone", default="compact", help="another network needs another --folder, --csv, --figure")
    parser.add_argument("--weights", default="builtin", help="that it starts from")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="further settings of every row")
    given = parser.parse_args(arguments)
    settings = (*([f"data.root='{given.root}'"] if given.root else []), *given.set)
    logging.getLogger("jdrl_lightning").setLevel(logging.WARNING)
    try:
        if given.draw:
            draw(given.csv, given.figure, given.backbone)
            return
        spread(given.csv, given.folder)
        wanted = list(trainings(given.cases, given.seeds, given.rows))
        missing = [training for training in wanted if not _file(given.folder, *training).exists()]
        print(f"{len(missing)} of {len(wanted)} trainings to go", flush=True)
        started = time.monotonic()
        for done, (case, seed, row) in enumerate(missing, 1):
            network = network_settings(given.backbone, given.weights, guided=row == "jdrl_map")
            lines = measured(row, case, seed, (*network, *settings))
            write_lines(_file(given.folder, case, seed, row), lines)
            collect(given.folder, given.csv)
            psnr, left = statistics.mean(line.psnr for line in lines), len(missing) - done
            minutes = (time.monotonic() - started) / done * left / 60
            result = f"{case} seed {seed} {row}: {psnr:.2f} dB"
            print(f"{result}; {left} to go, about {minutes:.0f} min", flush=True)
        collect(given.folder, given.csv)
        draw(given.csv, given.figure, given.backbone)
    except UserError as error:
        sys.exit(f"error: {error}")


def _file(folder: Path, case: Case, seed: int, row: str) -> Path:
    return folder / f"{case}_seed{seed}_{row}.csv"


def spread(table: Path, folder: Path) -> None:
    """Write the table's lines of earlier runs to a file for each training that has none."""
    found: dict[Path, list[Line]] = {}
    for line in read_lines(table) if table.exists() else ():
        case = Case(line.preset, line.amplitude_px)
        found.setdefault(_file(folder, case, line.seed, line.row), []).append(line)
    for file, lines in found.items():
        if not file.exists():
            write_lines(file, lines)


def collect(folder: Path, table: Path) -> None:
    """Every training's figures in one file, including those of a process running at the same time."""
    write_lines(table, [line for part in folder.glob("*.csv") for line in read_lines(part)])


def trainings(cases: Sequence[str], seeds: Sequence[int], rows: Sequence[str]) -> Iterator[tuple[Case, int, str]]:
    """What is asked for, in the order in which it is trained: all of one seed first."""
    done = set()
    for seed in seeds:
        for case in (case for case in CASES if str(case) in cases):
            for row in (row for row in ROWS if row in rows):
                if (row == "charbonnier" and case == NONE) or (row in RIVALS and case not in HARD):
                    continue  # the first is the same as aligned_ceiling
                training = (NONE if row in SHARED else case, seed, row)
                if training not in done:
                    done.add(training)
                    yield training


def network_settings(name: str, weights: str, guided: bool) -> list[str]:
    """A network that starts from ``weights``, alone or guided by a blur map."""
    inner = "backbone.of" if guided else "backbone"
    chosen = (
        ["backbone=guided", f"backbone@backbone.of={name}", "backbone.weights=null"] if guided else [f"backbone={name}"]
    )
    no_truth = [f"{inner}.map_weight=0"] if name == "compact" else []
    return [*chosen, f"{inner}.weights={weights}", *no_truth]


def measured(row: str, case: Case, seed: int, settings: Sequence[str]) -> list[Line]:
    """Train ``row`` (``input``: nothing) and measure the test images; a line for each photograph."""
    from jdrl_lightning import build
    from jdrl_lightning.demo.comparison import as_batches, measure_images, train_row

    module = None
    if row != "input":
        with tempfile.TemporaryDirectory() as run:
            module, _, _ = train_row(composed(row, case, seed, settings, Path(run)), Path(run))
        module = module.to(build.device("auto"))
    # Blur, noise and the truth in place are the same for every case: displacement moves only the sharp shot.
    of_data = [setting for setting in settings if setting.startswith("data")]  # others may be of this row's objective
    config = composed("aligned_ceiling", NONE, seed, of_data, Path("unused"))
    pairs = as_batches(build.datamodule(config).pairs("test"))
    images, _ = measure_images(module, pairs)
    photographs = [str(pair.name[0]).rpartition("_")[0] for pair in pairs]
    lines = []
    for photograph in dict.fromkeys(photographs):
        here = [name == photograph for name in photographs]
        mean = {measure: round(float(values[here].mean()), 4) for measure, values in images.items()}
        figures = (mean[measure] for measure in ("psnr", "psnr_interior", "ssim", "placement_px"))
        lines.append(Line(row, case.preset, case.px, seed, photograph, *figures))
    return lines


def composed(row: str, case: Case, seed: int, settings: Sequence[str], run: Path) -> dict[str, object]:
    """The plain config of one training."""
    from jdrl_lightning.demo.comparison import QUIET, compose_training

    amplitude = case.px / MEAN_PX.get(case.preset, 1.0)
    data = (f"data.misalignment={case.preset}", f"data.amplitude={amplitude:.4f}", f"seed={seed}")
    own = (*SETTINGS, *data, *ROWS[row])
    return compose_training(run, ["experiment=misalignment", *QUIET, *own, *settings])


if __name__ == "__main__":
    main()
