"""What a blur map is worth to a network: ``python benchmarks/guidance.py --root DIR --backbone NAME --weights FILE``

Fits a network to the mirror lens of benchmarks/misalignment.py, from pairs as far apart as a focus stack's, in the same
steps on the same crops: unguided, and guided by maps of rising truth: nothing (only what the fusion adds to the
network), the map that ``objective=jdrl_map`` learns at the same time, that of the shipped network, and the true circle
of confusion, at test time, too: added to the image, as the guide does, and as a fourth channel of the first
convolution. The true maps are the upper bound of what any estimate of the map could gain.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import jdrl_lightning
from jdrl_lightning import metrics
from jdrl_lightning.backbones.guided import DISC, REACH_PX
from jdrl_lightning.callbacks.summary import SummaryCallback
from jdrl_lightning.demo.comparison import QUIET, as_batches, compose_training
from jdrl_lightning.metrics.report import paired_interval
from jdrl_lightning.training.fit import build_data, build_module, build_trainer, train
from jdrl_lightning.training.run import find_checkpoint
from jdrl_lightning.types import Pair
from misalignment import HARD, JOINT, MEAN_PX, SETTINGS, network_settings

STACK = HARD[0]
MapOf = Callable[[Pair], Tensor]
DEEP = ", into the first features"
SHIPPED, TRUE = "map of the shipped network", "true map"
ROWS = ("unguided", "fusion alone", "jdrl_map", SHIPPED, TRUE, SHIPPED + DEEP, TRUE + DEEP)


class GivenMap(nn.Module):
    """In place of an estimator: returns the map ``(B, 1, H, W)`` that it was given."""

    given: Tensor

    def forward(self, blurry: Tensor) -> Tensor:
        """The map, whatever the image."""
        return self.given


class FirstWithMap(nn.Module):
    """A network's first convolution with the map as a fourth channel, whose weights start at zero."""

    given: Tensor

    def __init__(self, first: nn.Conv2d) -> None:
        super().__init__()
        self.first = first
        self.of_map = nn.Conv2d(1, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False)
        nn.init.zeros_(self.of_map.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Its features of the image ``(B, 3, H, W)``, which may be padded below and on the right, and of the map."""
        height, width = (mine - its for mine, its in zip(image.shape[-2:], self.given.shape[-2:], strict=True))
        features: Tensor = self.first(image)
        of_map: Tensor = self.of_map(F.pad(self.given, (0, width, 0, height), mode="replicate"))
        return features + (of_map.to_mkldnn() if features.is_mkldnn else of_map)


class GiveMap(L.Callback):
    """Gives it the map of each step's crops."""

    def __init__(self, estimator: GivenMap | FirstWithMap, map_of: MapOf) -> None:
        self.estimator, self.map_of = estimator, map_of

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Pair, batch_idx: int) -> None:
        """Before the network sees the crops."""
        self.estimator.given = self.map_of(batch)

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Pair, batch_idx: int, *_: int) -> None:
        """Before the network sees an image."""
        self.estimator.given = self.map_of(batch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder with train/, val/ and test/")
    parser.add_argument("--backbone", default="compact")
    parser.add_argument("--weights", default="builtin", help="that it starts from")
    parser.add_argument("--epochs", type=int, default=5, help="of 41 steps with 41 photographs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    parser.add_argument("--folder", type=Path, default=Path("outputs/guidance"), help="results of each training")
    given = parser.parse_args()
    torch.set_num_threads(1)
    maps = map_sources()
    found: dict[str, dict[int, np.ndarray[Any, Any]]] = {}
    for seed in given.seeds:
        for row in given.rows:
            name = f"{given.backbone}_{given.epochs}_seed{seed}_{row.replace(',', '').replace(' ', '_')}.csv"
            if not (file := given.folder / name).exists():
                started = time.process_time()
                config = row_settings(row, given.backbone, given.weights)
                data = (f"data.root='{given.root}'", f"seed={seed}", f"trainer.max_epochs={given.epochs}")
                psnr = trained([*config, *data], maps.get(row.removesuffix(DEEP)), deep=row.endswith(DEEP))
                given.folder.mkdir(parents=True, exist_ok=True)
                with file.open("w", newline="") as out:
                    csv.writer(out).writerows([[f"{value:.4f}"] for value in psnr])
                print(f"seed {seed} {row}: {statistics.mean(psnr):.2f} dB, {time.process_time() - started:.0f} s")
            found.setdefault(row, {})[seed] = np.loadtxt(file)
    print("\n| guided by | PSNR, dB (each seed) | less unguided, dB |\n|---|---|---:|")
    for row, of_seed in found.items():
        each = ", ".join(f"{values.mean():.2f}" for values in of_seed.values())
        mean = statistics.mean(float(values.mean()) for values in of_seed.values())
        line = f"| {row} | {mean:.2f} ({each}) | "
        if (plain := found.get("unguided")) and plain.keys() == of_seed.keys():
            values, base = (np.concatenate([rows[seed] for seed in given.seeds]) for rows in (of_seed, plain))
            low, high = paired_interval(values.tolist(), base.tolist())
            line += f"{(values - base).mean():+.2f} [{low:+.2f}, {high:+.2f}] |"
        print(line)


def map_sources() -> dict[str, MapOf]:
    """What the rows with a given map are given: ``(B, 1, H, W)``, 1 where the radius is the reach of the kernels."""
    shipped = jdrl_lightning.load().backbone
    scale = DISC * REACH_PX

    def true_map(pair: Pair) -> Tensor:
        return pair.extras["coc"] / scale

    def by_shipped(pair: Pair) -> Tensor:
        with torch.no_grad():
            radius: Tensor = shipped(pair.blurry).aux["coc"]
        return radius.clamp_min(0) / scale

    return {
        "fusion alone": lambda pair: torch.zeros_like(pair.blurry[:, :1]),
        SHIPPED: by_shipped,
        TRUE: true_map,
    }


def row_settings(row: str, backbone: str, weights: str) -> list[str]:
    """The overrides of one row."""
    misaligned = (f"data.misalignment={STACK.preset}", f"data.amplitude={STACK.px / MEAN_PX[STACK.preset]:.4f}")
    common = ["experiment=misalignment", *QUIET, *SETTINGS, *misaligned]
    network = network_settings(backbone, weights, guided=not (row == "unguided" or row.endswith(DEEP)))
    return [*common, *network, f"objective={'jdrl_map' if row == 'jdrl_map' else 'jdrl_robust'}", *JOINT]


def with_map(network: nn.Module) -> FirstWithMap:
    """Replace the network's first convolution, which must be of an image."""
    name, first = next((name, part) for name, part in network.named_modules() if isinstance(part, nn.Conv2d))
    if first.in_channels != 3:
        raise SystemExit(f"the first convolution has {first.in_channels} input channels, not those of an image")
    replaced = FirstWithMap(first)
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, replaced)
    return replaced


def trained(overrides: list[str], map_of: MapOf | None, deep: bool) -> list[float]:
    """Train one row; the PSNR of each test image against the truth, dB."""
    with tempfile.TemporaryDirectory() as folder:
        config = compose_training(Path(folder), overrides)
        run = find_checkpoint(config, Path(folder))
        L.seed_everything(config["seed"], workers=True, verbose=False)
        module = build_module(run)
        trainer = build_trainer(run, module, SummaryCallback(run.run_dir / "summary.json", run.identity))
        if map_of is not None:
            estimator = with_map(module.backbone.network) if deep else GivenMap()
            if not deep:
                module.backbone.network.estimator = estimator
            trainer.callbacks.append(GiveMap(estimator, map_of))
        train(run, trainer, module, data := build_data(run, module))
    values = []
    for pair in as_batches(data.pairs("test")):
        if map_of is not None:
            estimator.given = map_of(pair)
        with torch.no_grad():
            restored = module.eval()(pair.blurry).clamp(0, 1)
        values.append(float(metrics.psnr(restored, pair.extras["aligned"])))
    return values


if __name__ == "__main__":
    main()
