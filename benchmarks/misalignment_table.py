"""Tables of benchmarks/misalignment.py from its CSV file: results of each row, and where JDRL wins."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jdrl_lightning.metrics.report import bootstrap_interval, figure, write_csv

__all__ = [
    "JDRL",
    "NONE",
    "PRESETS",
    "SHARED",
    "Case",
    "Line",
    "Results",
    "markdown",
    "read_lines",
    "verdicts",
    "write_lines",
]

MEASURES = {
    "psnr": "PSNR, dB",
    "psnr_interior": "PSNR of the interior, dB",
    "ssim": "SSIM",
    "placement_px": "placement error, px",
}
JDRL = ("jdrl_robust", "jdrl", "jdrl_official", "jdrl_map")
PLAIN = ("input", "charbonnier", "prealign", "shift_search")
RIVALS = ("mimicked", "gcm", "fdl", "cobi")
BOUNDS = ("warp_only", "oracle", "aligned_ceiling")
OPPONENTS = (*PLAIN, *RIVALS, "jdrl_robust", *BOUNDS)
ORDER = (*PLAIN, *RIVALS, *JDRL, *BOUNDS)
SHARED = ("input", "aligned_ceiling")  # independent of the displacement: measured once, without any
PRESETS = ("none", "nonrigid", "stack")
IDLE = {"ssim": 6e-4, "placement_px": 4e-3}  # closer to the input's than this: nothing was learned
FEW = 3  # photographs: with so few, the 2.5 % quantile of the resampled means is their minimum


class Case(NamedTuple):
    """A kind of misalignment and its mean size, px."""

    preset: str
    px: float

    def __str__(self) -> str:
        return f"{self.preset}_{self.px:g}"


NONE = Case("none", 0)


class Line(NamedTuple):
    """One line of the CSV file: means over a photograph's test images."""

    row: str
    preset: str
    amplitude_px: float
    seed: int
    photograph: str
    psnr: float
    psnr_interior: float
    ssim: float
    placement_px: float


def read_lines(path: Path) -> list[Line]:
    """Every line of a CSV file, numbers as numbers."""
    with path.open(newline="") as file:
        kinds = {"row": str, "preset": str, "seed": int, "photograph": str}
        return [
            Line(**{key: kinds.get(key, float)(value) for key, value in line.items()}) for line in csv.DictReader(file)
        ]


def write_lines(path: Path, lines: Iterable[Line]) -> None:
    """Write them in an order that does not depend on the order of training."""
    write_csv(path, [line._asdict() for line in sorted(lines)])


class Results:
    """The measured values, by row and case."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = {
            (line.row, Case(line.preset, line.amplitude_px), line.seed, line.photograph): line for line in lines
        }
        found = {case for _, case, _, _ in self.lines}
        self.cases = sorted(found, key=lambda case: (PRESETS.index(case.preset), case.px))
        self.rows = [row for row in ORDER if any(key[0] == row for key in self.lines)]
        self.photographs = sorted({line.photograph for line in lines})

    def of(self, row: str, case: Case, measure: str) -> dict[tuple[int, str], float]:
        """Values by seed and photograph; empty if there are none."""
        if case == NONE and row == "charbonnier":  # without displacement they are the same
            row = "aligned_ceiling"
        at = NONE if row in SHARED else case
        trained = {seed for r, c, seed, _ in self.lines if c == case and r not in SHARED}  # on this case itself
        return {
            (seed, photograph): getattr(line, measure)
            for (r, c, seed, photograph), line in self.lines.items()
            if (r, c) == (row, at) and (seed in trained or not trained)
        }

    def seeds(self, case: Case) -> list[int]:
        """Those that every row measured on ``case`` has: means over others would not compare."""
        found: dict[str, set[int]] = {}
        for row, measured_on, seed, _ in self.lines:
            if measured_on == case:
                found.setdefault(row, set()).add(seed)
        return sorted(set.intersection(*found.values()))

    def mean(self, row: str, case: Case, measure: str) -> float | None:
        """Over photographs and the seeds that every row has."""
        values = [v for (seed, _), v in self.of(row, case, measure).items() if seed in self.seeds(case)]
        return float(np.mean(values)) if values else None

    def interval(
        self, row: str, case: Case, measure: str, less: str | None = None
    ) -> tuple[float, float, float] | None:
        """(mean, low, high): of the seeds that every row has, or of the difference to ``less`` in all that both have.

        The interval is a 95 % bootstrap over photographs.
        """
        values = self.of(row, case, measure)
        if less is None:
            values = {key: value for key, value in values.items() if key[0] in self.seeds(case)}
        else:
            others = self.of(less, case, measure)
            values = {key: values[key] - others[key] for key in values.keys() & others.keys()}
        if not values:
            return None
        names = sorted({photograph for _, photograph in values})
        means = [float(np.mean([v for (_, name), v in values.items() if name == photograph])) for photograph in names]
        return (float(np.mean(means)), *bootstrap_interval(means))

    def signs(self, row: str, less: str, case: Case) -> list[int]:
        """Of each seed's mean difference in PSNR: -1, 0, 1."""
        values, others = self.of(row, case, "psnr"), self.of(less, case, "psnr")
        both = values.keys() & others.keys()
        return [
            int(np.sign(np.mean([values[key] - others[key] for key in both if key[0] == seed])))
            for seed in {seed for seed, _ in both}
        ]


def markdown(results: Results, name: str, picture: str, backbone: str) -> str:
    """The whole page."""
    count = len(results.photographs)
    shipped = backbone == "compact"
    parts = [
        "# What misalignment costs each way of training" + ("" if shipped else f": `{backbone}`"),
        "See what each way of training achieves on pairs of a given misalignment, and which one wins.",
        f"`python benchmarks/misalignment.py --root photographs{'' if shipped else f' --backbone {backbone}'}` writes\n"
        f"[the data]({name}.csv), this page and the figure; `--draw` redraws both from the data alone.\n"
        f"{SHIPPED if shipped else PRETRAINED.format(backbone=backbone)}\n{SETTING}",
        f"![PSNR against mean displacement, and placement error]({picture})",
        ROWS_EXPLAINED,
        f"In brackets: 95 % bootstrap intervals over {count} photographs, of the mean over their images and the seeds.",
    ]
    if count <= FEW:
        parts[-1] += (
            f"\n**{count} photographs are few**: such an interval is merely their range, and a win or loss"
            f"\nbelow means that all {count} agree, not that others would."
        )
    parts += [f"## {title}\n\n{measure_table(results, measure)}" for measure, title in MEASURES.items()]
    return "\n\n".join([*parts, "## Where JDRL wins, ties and loses", verdicts(results)]) + "\n"


def verdicts(results: Results) -> str:
    """The verdicts with their definition, and the trainings that learned nothing."""
    idle = idle_trainings(results)
    parts = [f"{VERDICTS_EXPLAINED} {MARK_EXPLAINED}" if idle else VERDICTS_EXPLAINED, verdict_table(results)]
    if idle:
        parts += ["## Trainings that learned nothing", IDLE_EXPLAINED, idle_list(idle)]
    return "\n\n".join(parts)


SHIPPED = "The network that comes with the package is"
PRETRAINED = """\
`{backbone}` is first trained on 41 photographs (`python -m jdrl_lightning.train experiment=pretrain backbone={backbone}
data.root=photographs trainer.max_epochs=10`; its weights are given by `--weights`), then, like
[the network that comes with the package](misalignment.md),"""
SETTING = """\
fitted to a mirror lens, which it does not know, on 82 frames rendered from 41 photographs
([list](../models/compact_photographs.csv)), in 205 steps of eight crops, with the same rate for every row
(conf/experiment/misalignment.yaml); its last weights restore frames of 24 others, compared with the ground truth.
From scratch, even three times as many steps gain 0.2 dB over the input on aligned pairs, too few to tell rows apart."""
ROWS_EXPLAINED = """\
Columns: kind of misalignment, mean displacement in pixels, and the seeds with which every row was trained. Rows:

- `input`: the blurry image.
- `charbonnier`: pixel-wise on the pairs as they are. `prealign`: each pair registered by an affine motion first.
- `shift_search`: the smallest Charbonnier loss over shifts of ±6 px.
- `mimicked`, `gcm`, `fdl`, `cobi`: [other answers to misalignment](../paper_and_code.md#other-answers-to-misalignment);
  `fdl` (64 projections of 256) and `cobi` compare image patches, as VGG's weights were not available: these are not
  their authors' results.
- `jdrl_robust`: ours. `jdrl`: the paper. `jdrl_official`: its published code. `jdrl_map`: ours, guided by a blur map.
- `warp_only`: pixel-wise on the sharp image warped by flow from the blurry one; no reblurring, no joint stage.
- `oracle`: the same with the true flow. `aligned_ceiling`: pixel-wise on aligned pairs, the upper bound."""
VERDICTS_EXPLAINED = """\
Full-frame PSNR of the JDRL row minus that of the other, paired by photograph and common seeds, in dB. Win or loss: the
95 % interval excludes 0 and every seed's mean has that sign (by chance, one time in four for three seeds); otherwise a
tie."""
MARK_EXPLAINED = "†: one of the two includes trainings that learned nothing, see below."

IDLE_EXPLAINED = """\
Their outputs are the blurry images up to a constant tone (SSIM and placement error equal the input's within 0.0006 and
0.004 px, thresholds we chose). There are two causes: a loss whose first steps kill the last layer's features, and in
`jdrl` a reblurring network that has learned no blur, so that its term pulls the output to the input. These trainings
are included above and marked by a †: without them the row would end elsewhere."""


def measure_table(results: Results, measure: str) -> str:
    """Rows against cases."""
    heads = [f"{case}, seed {' '.join(map(str, results.seeds(case)))}" for case in results.cases]
    lines = ["| row | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    idle = {(row, case) for row, case, _ in idle_trainings(results)}
    for row in results.rows:
        cells = [
            _cell(results.interval(row, case, measure), measure) + (" †" if (row, case) in idle else "")
            for case in results.cases
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict_table(results: Results) -> str:
    """For each form of JDRL and each other row: the cases in which it wins, ties and loses."""
    lines = ["| JDRL | against | wins | ties | loses | one seed only |", "|---|---|---|---|---|---|"]
    idle = {(row, case) for row, case, _ in idle_trainings(results)}
    for ours in (row for row in JDRL if row in results.rows):
        for theirs in (row for row in OPPONENTS if row in results.rows and row != ours):
            cells: dict[str, list[str]] = {"wins": [], "ties": [], "loses": [], "one seed only": []}
            for case in results.cases:
                if found := results.interval(ours, case, "psnr", less=theirs):
                    mark = " †" if {(ours, case), (theirs, case)} & idle else ""
                    verdict = _verdict(*found[1:], results.signs(ours, theirs, case))
                    cells[verdict].append(f"{case} {found[0]:+.2f}{mark}")
            lines.append(f"| {ours} | {theirs} | {' | '.join(', '.join(cases) or '–' for cases in cells.values())} |")
    return "\n".join(lines)


def _verdict(low: float, high: float, signs: list[int]) -> str:
    if len(signs) < 2:
        return "one seed only"
    if low > 0 and min(signs) > 0:
        return "wins"
    return "loses" if high < 0 and max(signs) < 0 else "ties"


def _cell(found: tuple[float, float, float] | None, measure: str) -> str:
    if found is None:
        return "–"
    mean, low, high = (figure(measure.removesuffix("_interior"), value) for value in found)
    return f"{mean} [{low}, {high}]"


def idle_trainings(results: Results) -> list[tuple[str, Case, int]]:
    """Row, case and seed of each training whose outputs have the input's SSIM and placement."""
    found = []
    for row, case in ((row, case) for row in results.rows if row not in SHARED for case in results.cases):
        if row == "charbonnier" and case.preset == "none":  # the same as aligned_ceiling
            continue
        differs: dict[int, list[bool]] = {}
        for measure, limit in IDLE.items():
            ours, theirs = (results.of(name, case, measure) for name in (row, "input"))
            for seed in sorted({seed for seed, _ in ours.keys() & theirs.keys()}):
                less = [abs(ours[key] - theirs[key]) for key in ours.keys() & theirs.keys() if key[0] == seed]
                differs.setdefault(seed, []).append(bool(np.mean(less) >= limit))
        found += [(row, case, seed) for seed, flags in differs.items() if not any(flags)]
    return found


def idle_list(idle: Sequence[tuple[str, Case, int]]) -> str:
    """A line for each row."""
    rows = dict.fromkeys(row for row, _, _ in idle)
    trainings = {row: ", ".join(f"{case} seed {seed}" for r, case, seed in idle if r == row) for row in rows}
    return "\n".join(f"- `{row}`: {listed}" for row, listed in trainings.items())
