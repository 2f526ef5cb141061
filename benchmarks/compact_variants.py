"""Which small network restores best for equal processor time?

    python benchmarks/compact_variants.py --photographs photographs [--steps 1200] [--only base gated] [--seeds 0 1 2]

Every variant of ``compact`` is trained from scratch for the same processor time (one thread, steps alone) on the same
rendered frames, and measured on the validation photographs' frames. ``--steps`` are those of ``base``; a variant's step
is timed against one of ``base``, alternating, so that whatever else the machine does counts for neither. A row for each
variant and seed is added to ``--output``; those that are there are not trained again, so an interrupted comparison goes
on. ``--table`` prints it.
"""

from __future__ import annotations

import argparse
import csv
import math
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from defocus_maps import correlation, ranks
from jdrl_lightning import data, metrics
from jdrl_lightning.backbones import compact
from jdrl_lightning.data.augment import collate
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.module import channels_last
from jdrl_lightning.types import Pair

BATCH, CROP, RATE, FLOOR, RISE = 8, 96, 1e-3, 0.01, 0.05
COLUMNS = (
    "variant", "seed", "parameters", "macs_per_px", "steps", "gain_db", "worst_db", "sharp_db", "map_rank", "map_rmse"
)  # fmt: skip
FRAMES = {
    "misalignment": "none", "camera": ["default", "varied"], "gain": 0.0, "white_balance": 0.0, "leaves": 4
}  # fmt: skip


class GatedBlock(nn.Module):
    """1×1, depthwise 3×3, the product of the two halves, 1×1: NAFNet's without normalisation and attention."""

    def __init__(self, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels, 4 * channels, 1)
        self.depthwise = nn.Conv2d(4 * channels, 4 * channels, kernel, padding=kernel // 2, groups=4 * channels)
        self.project = nn.Conv2d(2 * channels, channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, features: Tensor) -> Tensor:
        first, second = self.depthwise(self.expand(features)).chunk(2, 1)
        changed: Tensor = self.project(first * second)
        return features + changed


class LargeKernelBlock(nn.Module):
    """Depthwise 7×7, 1×1 to four times the channels, ReLU, 1×1: ConvNeXt's without normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.expand = nn.Conv2d(channels, 4 * channels, 1)
        self.project = nn.Conv2d(4 * channels, channels, 1)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, features: Tensor) -> Tensor:
        changed: Tensor = self.project(F.relu(self.expand(self.depthwise(features))))
        return features + changed


class Variant(NamedTuple):
    """A network and what it is trained for."""

    width: int = 32
    blocks: tuple[int, ...] = (2, 2, 2)
    unshuffle: int = 2
    block: Callable[[int], nn.Module] | None = None  # None: compact's
    map_weight: float = 0.005
    spectrum_weight: float = 0.0  # of the mean error of the Fourier coefficients


VARIANTS = {
    "base": Variant(),
    "wider, shallower": Variant(width=36, blocks=(1, 1, 2)),
    "narrower, deeper": Variant(width=24, blocks=(3, 3, 4)),
    "four levels": Variant(width=16, blocks=(2, 2, 2, 2)),
    "unshuffle 4": Variant(width=56, blocks=(3, 3), unshuffle=4),
    "gated": Variant(block=GatedBlock, blocks=(5, 5, 6)),
    "large kernels": Variant(block=LargeKernelBlock, blocks=(4, 4, 4)),
    "no map": Variant(map_weight=0.0),
    "map weighted 4 times": Variant(map_weight=0.02),
    "spectrum": Variant(spectrum_weight=0.05),
}


def settings_of(variant: Variant) -> AbstractContextManager[Any]:
    """compact's module with the variant's own unshuffling and blocks."""
    return patch.multiple(compact, UNSHUFFLE=variant.unshuffle, _Block=variant.block or compact._Block)


def optimiser_of(net: compact.Compact) -> torch.optim.Optimizer:
    channels_last(net)
    return torch.optim.AdamW(net.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=1e-4)


def step(net: compact.Compact, variant: Variant, optimiser: torch.optim.Optimizer, batch: Pair) -> None:
    """Forward, backward and update, the truth as target."""
    restored = net(batch.blurry.contiguous(memory_format=torch.channels_last))
    sharp = batch.extras["aligned"]
    loss = charbonnier_loss(restored.images[0], sharp)
    if variant.spectrum_weight:
        coefficients = torch.fft.rfft2(restored.images[0] - sharp, norm="ortho")
        loss = loss + variant.spectrum_weight * coefficients.abs().mean()
    loss = loss + variant.map_weight * (restored.aux["coc"] - batch.extras["coc"]).abs().mean()
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


def train(net: compact.Compact, variant: Variant, crops: TrainingCrops, steps: int, seed: int) -> None:
    """A short rise of the rate, then its cosine."""
    optimiser = optimiser_of(net)
    for number in range(steps):
        done = number / steps
        factor = done / RISE if done < RISE else 0.5 * (1 + math.cos(math.pi * (done - RISE) / (1 - RISE)))
        optimiser.param_groups[0]["lr"] = RATE * (FLOOR + (1 - FLOOR) * factor)
        batch = collate([crops[seed, number * BATCH + i] for i in range(BATCH)])
        step(net, variant, optimiser, batch.to_float())


def cost(variant: Variant) -> float:
    """Processor time of a step over that of ``base``: the median of 7 pairs of steps that alternate."""
    image, radius = torch.rand(BATCH, 3, CROP, CROP), torch.rand(BATCH, 1, CROP, CROP)
    batch = Pair(image, image, [""] * BATCH, {"aligned": image, "coc": radius})
    compared = []
    for each in (variant, VARIANTS["base"]):
        with settings_of(each):
            net = compact.Compact(each.width, each.blocks)
        compared.append((each, net, optimiser_of(net)))
    ratios = []
    for _ in range(9):
        seconds = []
        for each, net, optimiser in compared:
            started = time.process_time()
            with settings_of(each):
                step(net, each, optimiser, batch)
            seconds.append(time.process_time() - started)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios[2:])


@torch.inference_mode()
def measured(net: compact.Compact, frames: list[Pair]) -> dict[str, float]:
    """Gain over the input, what is left of sharp pictures, and how good the map is."""
    backbone = compact.CompactBackbone(net, 0.0).eval()
    gains, kept, ranked, errors = [], [], [], []
    for pair in frames:
        blurry, aligned, radius = (
            image[None] for image in (pair.to_float().blurry, pair.to_float().extras["aligned"], pair.extras["coc"])
        )
        images, aux = backbone(blurry)
        gains.append(float(metrics.psnr(images[0], aligned) - metrics.psnr(blurry, aligned)))
        kept.append(float(metrics.psnr(backbone(aligned).images[0], aligned)))
        found = aux["coc"][..., : radius.shape[-2], : radius.shape[-1]]
        errors.append(float((found - radius).square().mean().sqrt()))
        if float(radius.std()) and float(found.std()):
            ranked.append(correlation(ranks(found[0, 0]), ranks(radius[0, 0])))
    return {
        "gain_db": statistics.mean(gains), "worst_db": min(gains), "sharp_db": statistics.mean(kept),
        "map_rank": statistics.mean(ranked or [math.nan]), "map_rmse": statistics.mean(errors),
    }  # fmt: skip


def row(name: str, seed: int, base_steps: int, pairs: Any, frames: list[Pair]) -> dict[str, object]:
    """Train and measure one variant with one seed, in the time of ``base_steps`` steps of ``base``."""
    variant = VARIANTS[name]
    steps = base_steps if name == "base" else round(base_steps / cost(variant))
    torch.manual_seed(seed)
    with settings_of(variant):
        net = compact.Compact(variant.width, variant.blocks)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(torch.zeros(1, 3, 256, 256))
        train(net, variant, TrainingCrops(pairs, CROP, seed, recolor=True), steps, seed)
        found = measured(net, frames)
    return {
        "variant": name, "seed": seed, "parameters": sum(p.numel() for p in net.parameters()),
        "macs_per_px": counter.get_total_flops() // 2 // 256**2, "steps": steps,
        **{key: round(value, 4) for key, value in found.items()},
    }  # fmt: skip


def table(rows: list[dict[str, str]]) -> str:
    """A line for each variant, best first; means over seeds."""
    heads = ("variant", "parameters", "multiply-adds a px", "steps", "seeds", "gain, dB", "worst", "sharp, dB", "map ρ")
    lines = [f"| {' | '.join(heads)} | map RMSE, px |", "|---" + "|---:" * len(heads) + "|"]
    found = []
    for name in dict.fromkeys(row["variant"] for row in rows):
        own = [row for row in rows if row["variant"] == name]
        column = {key: [float(row[key]) for row in own] for key in COLUMNS[2:]}
        mean = {key: statistics.mean(values) for key, values in column.items()}
        gains = column["gain_db"]
        spread = f" ({min(gains):+.2f} to {max(gains):+.2f})" if len(own) > 1 else ""
        cells = (
            name, f"{mean['parameters']:,.0f}", f"{mean['macs_per_px']:,.0f}", f"{mean['steps']:.0f}", str(len(own)),
            f"{mean['gain_db']:+.2f}{spread}", f"{min(column['worst_db']):+.2f}", f"{mean['sharp_db']:.1f}",
            f"{mean['map_rank']:.2f}", f"{mean['map_rmse']:.2f}",
        )  # fmt: skip
        found.append((mean["gain_db"], f"| {' | '.join(cells)} |"))
    return "\n".join(lines + [line for _, line in sorted(found, reverse=True)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, help="a folder with train and val")
    parser.add_argument("--steps", type=int, default=1200, help="of base")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--output", type=Path, default=Path("compact_variants.csv"))
    parser.add_argument("--table", action="store_true", help="print the table of --output")
    options = parser.parse_args()

    def rows() -> list[dict[str, str]]:
        return list(csv.DictReader(options.output.open())) if options.output.exists() else []

    if not options.table:
        if options.photographs is None:
            parser.error("--photographs is needed to train")
        wanted = [(name, seed) for seed in options.seeds for name in options.only]
        done = {(row["variant"], int(row["seed"])) for row in rows()}
        torch.set_num_threads(1)
        settings = {"root": options.photographs, "frames_per_photo": {"train": 6, "val": 2}, **FRAMES}
        pairs = data.create("photos", split="train", seed=0, crop=CROP, **settings)
        val = data.create("photos", split="val", seed=7, crop=None, **settings)
        frames, fork = [val[i] for i in range(len(val))], get_context("fork")  # children share the frames
        for name, seed in [each for each in wanted if each not in done]:
            receiver, sender = fork.Pipe(duplex=False)

            def send(name: str = name, seed: int = seed, sender: Any = sender) -> None:
                sender.send(row(name, seed, options.steps, pairs, frames))

            child = fork.Process(target=send)
            child.start()
            sender.close()
            found = receiver.recv()  # EOFError if the child died, after its traceback
            child.join()
            new = not options.output.exists()
            with options.output.open("a", newline="") as file:
                writer = csv.DictWriter(file, COLUMNS)
                if new:
                    writer.writeheader()
                writer.writerow(found)
            print(found, flush=True)
    print(table(rows()))


if __name__ == "__main__":
    main()
