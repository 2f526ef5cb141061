"""Does the restored image stay in place? ``python benchmarks/placement.py --output docs/results/placement.md``

Two disturbances of JDRL's joint stage, in which flow is measured from the output itself, so that no term fixes the
output's position: (a) the network starts displaced by one pixel; (b) the flow estimator is biased by a quarter of a
pixel in each direction. For each weight of the reblurring term and each anchor: where is the output at the end?
``--learns-from aligned``: the reblurring network keeps learning from the aligned sharp image, as in ``jdrl_robust``,
whose maps have ``--stride 4``.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from pathlib import Path

import torch
from rich.progress import Progress
from torch import Tensor

from jdrl_lightning import Pair, Restored, backbones, data, flow, metrics
from jdrl_lightning.data.augment import augment, collate
from jdrl_lightning.flow.base import FlowEstimator
from jdrl_lightning.flow.warp import warp
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.objectives import JDRL, Schedule, Stage
from jdrl_lightning.reblur.network import ReblurNet
from jdrl_lightning.types import to_float

ALPHAS = (0.0, 0.25, 0.5, 1.0)
ANCHORS = ("none", "affine")
CROP, BATCH = 64, 2
STEPS = {"in place": 300, "displaced": 150, "(a)": 240, "(b)": 240}
RATE = 5e-4


class Biased(FlowEstimator):
    """``gauss_newton`` plus a constant that does not depend on the images."""

    def __init__(self, bias_px: float) -> None:
        self.inner, self.bias_px = flow.create("gauss_newton"), bias_px

    def estimate(self, first: Tensor, second: Tensor) -> Tensor:
        found = self.inner(first, second)
        # Both directions are estimated in one batch. A bias that displaces is one that both agree on: there +, back -.
        half = len(found) // 2
        found[:half, 0] += self.bias_px
        found[half:, 0] -= self.bias_px
        return found


class Run:
    """One seed: data, a network trained in place, the same displaced, and trials from either."""

    def __init__(self, seed: int, stride: int, progress: Progress) -> None:
        torch.manual_seed(seed)
        self.seed, self.progress = seed, progress
        self.train = data.create("photos", split="train", seed=seed, crop=CROP, misalignment="none")
        self.val = data.create("photos", split="val", seed=seed, crop=CROP, misalignment="none")
        self.in_place = backbones.create("unet", width=8, dropout=0.0, global_residual=True)  # equal for every stride
        self.reblur = ReblurNet(width=16, stride=stride)
        self.pretrain(self.in_place, 0.0, STEPS["in place"])
        self.displaced = copy.deepcopy(self.in_place)
        self.pretrain(self.displaced, 1.0, STEPS["displaced"])

    def batch(self, step: int) -> Pair:
        keys = range(step * BATCH, (step + 1) * BATCH)
        drawn = [augment(self.train[k % len(self.train)], CROP, self.seed, 0, k) for k in keys]
        pair = collate(drawn)
        return Pair(to_float(pair.blurry), to_float(pair.sharp), pair.name, {})

    def pretrain(self, backbone: torch.nn.Module, shift_px: float, steps: int) -> None:
        """Pixel-wise on aligned pairs, the target shifted; the reblurring network learns from pairs in place."""
        trained = [*backbone.parameters(), *(self.reblur.parameters() if shift_px == 0 else ())]
        optimizer = torch.optim.Adam(trained, lr=1e-3)
        for step in self.progress.track(range(steps), description=f"seed {self.seed}: training, {shift_px:g} px off"):
            pair = self.batch(step)
            constant = torch.zeros_like(pair.sharp[:, :2])
            constant[:, 0] = shift_px
            restored = backbone(pair.blurry).images[0]
            loss = charbonnier_loss(restored, warp(pair.sharp, constant))
            if shift_px == 0:
                loss = loss + charbonnier_loss(self.reblur(restored.detach(), pair.blurry), pair.blurry)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    def trial(self, case: str, alpha: float, anchor: str, learns_from: str) -> float:
        """JDRL's joint stage under disturbance ``case``; returns the RMS placement error at the end, px."""
        torch.manual_seed(self.seed)
        start = self.displaced if case == "(a)" else self.in_place
        backbone = copy.deepcopy(start).train()
        weights = {"align": 1.0, "align_back": 1.0, "reblur": alpha}
        if learns_from == "aligned":
            weights["reblur_sharp"] = alpha
        stage = Stage("joint", 0, "restored", weights)
        estimator = Biased(0.25) if case == "(b)" else flow.create("gauss_newton")
        objective = JDRL(
            estimator, copy.deepcopy(self.reblur) if alpha else None, Schedule((stage,)),
            mask="consistency", min_px=0.5, reduction="masked_mean", anchor=anchor,
        )  # fmt: skip
        optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=RATE)
        label = f"seed {self.seed}: {case} alpha={alpha:g} anchor={anchor}"
        for step in self.progress.track(range(STEPS[case]), description=label):
            pair = self.batch(10_000 + step)
            loss = objective(Restored((backbone(pair.blurry).images[0],), {}), pair, stage).total
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return self.placement(backbone)

    @torch.no_grad()
    def placement(self, backbone: torch.nn.Module) -> float:
        backbone.eval()
        found = []
        for index in range(len(self.val)):
            pair = self.val[index]
            restored = backbone(to_float(pair.blurry)[None]).images[0]
            found.append(float(metrics.placement_error(restored, to_float(pair.extras["aligned"])[None]).rms))
        return statistics.mean(found)


def main() -> None:
    """Run all trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--learns-from", default="restored", choices=["restored", "aligned"])
    parser.add_argument("--stride", type=int, default=1, help="of the reblurring network's maps")
    parser.add_argument("--alphas", type=float, nargs="+", default=list(ALPHAS))
    parser.add_argument("--output", type=Path, help="Markdown file to write the table to")
    given = parser.parse_args()
    started = time.monotonic()
    ends: dict[tuple[str, float, str], list[float]] = {}
    starts: dict[str, list[float]] = {"(a)": [], "(b)": []}
    with Progress() as progress:
        for seed in range(given.seeds):
            run = Run(seed, given.stride, progress)
            starts["(a)"].append(run.placement(run.displaced))
            starts["(b)"].append(run.placement(run.in_place))
            for case in starts:
                for alpha in given.alphas:
                    for anchor in ANCHORS:
                        found = run.trial(case, alpha, anchor, given.learns_from)
                        ends.setdefault((case, alpha, anchor), []).append(found)
                        done = f"seed {seed} {case} alpha={alpha:g} anchor={anchor}: {found:.3f} px"
                        print(f"{time.monotonic() - started:5.0f} s  {done}", flush=True)
            report(starts, ends, given)
    print(f"{time.monotonic() - started:.0f} s, torch {torch.__version__}, {torch.get_num_threads()} threads")


def report(
    starts: dict[str, list[float]], ends: dict[tuple[str, float, str], list[float]], given: argparse.Namespace
) -> None:
    """Print the table of the seeds so far, and write it if asked: a run that is stopped keeps what it has measured."""
    lines = ["| disturbance | α | anchor none, px | anchor affine, px |", "|---|---|---|---|"]
    for case, what in (("(a)", "starts 1 px off"), ("(b)", "flow biased by 0.25 px")):
        start = ", ".join(f"{value:.2f}" for value in starts[case])
        for alpha in given.alphas:
            cells = (ends[case, alpha, anchor] for anchor in ANCHORS)
            shown = [f"{statistics.mean(v):.3f} ({', '.join(f'{x:.2f}' for x in v)})" for v in cells]
            lines.append(
                f"| {case} {what}; at the start {start}; {STEPS[case]} steps | {alpha:g} | {' | '.join(shown)} |"
            )
    table = "\n".join(lines)
    print(table)
    if given.output:
        other = "" if given.learns_from == "restored" else f" --learns-from {given.learns_from}"
        other += "" if given.stride == 1 else f" --stride {given.stride}"
        other += "" if given.alphas == list(ALPHAS) else f" --alphas {' '.join(f'{alpha:g}' for alpha in given.alphas)}"
        command = f"python benchmarks/placement.py --seeds {given.seeds}{other} --output {given.output.as_posix()}"
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(f"<!-- {command} -->\n{table}\n")


if __name__ == "__main__":
    main()
