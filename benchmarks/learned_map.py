"""The blur map that ``objective=jdrl_map`` teaches without any truth: ``python benchmarks/learned_map.py --root DIR``

Trained on rendered pairs as far apart as a focus stack's, from the shipped weights without their map; what it says of
the blurry image alone is compared with the true circle of confusion, within each of two frames of each test photograph.
Beside it: EBDB, JNB, DMENet where its weights are given, ``compact``, whose map was trained with the truth, and labels:
the blur of the pair as it is; and from the blurry and the true sharp image the best disc, and the radius that the
reblurring network of the same training predicts. The folder has ``train/``, ``val/`` and ``test/``. Intervals are 95 %
over photographs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

import jdrl_lightning
from defocus_maps import correlation, ranks
from jdrl_lightning import objectives
from jdrl_lightning.backbones.guided import DISC
from jdrl_lightning.classical.ebdb import ebdb_map
from jdrl_lightning.classical.jnb import jnb_map
from jdrl_lightning.classical.methods import DMENetMap
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.misalignment import preset
from jdrl_lightning.data.synthetic.photographs import all_in_folder
from jdrl_lightning.demo.comparison import QUIET, compose_training, train_row
from jdrl_lightning.flow.base import both_ways
from jdrl_lightning.metrics.report import bootstrap_interval
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.types import Pair, to_float
from misalignment import COARSE, JOINT, network_settings

PAIRS = ("data.camera=default", "data.misalignment=stack", "data.frames_per_photo={train: 4, val: 1, test: 1}")
GUIDED = network_settings("compact", "builtin", guided=True)
SETTINGS = ("experiment=misalignment", *QUIET, *GUIDED, "objective=jdrl_map", *JOINT, *COARSE, *PAIRS)
EPOCHS = 12  # of 82 steps with 4 frames of each of 41 photographs
MASK = {"mask": "consistency", "min_px": 0.5, "flow_of": "restored"}  # as conf/objective/jdrl_robust.yaml
FRAMES, SEED = 2, 7  # of each test photograph, as benchmarks/restoration.py


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: the other maps only")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of 82 steps with 4 frames of 41 photographs")
    parser.add_argument("--frames", type=int, default=4, help="of each photograph")
    parser.add_argument("--map", choices=("match", "radius"), default="match", help="the label")
    parser.add_argument("--dmenet", type=Path, help="weights of DMENet, to include it")
    parser.add_argument("--dmenet-width", type=int, default=16, help="of its first level: benchmarks/train_dmenet.py")
    given = parser.parse_args()
    torch.set_num_threads(1)
    shipped = jdrl_lightning.load()
    label = PairLabel()
    maps: dict[str, Estimate] = {
        "EBDB": lambda frame: ebdb_map(frame.blurry),
        "JNB": lambda frame: jnb_map(frame.blurry),
        "compact, by the truth": lambda frame: shipped.blur_map(frame.blurry[0])[None, None],
        "label: of the pair": lambda frame: label(frame.blurry, frame.sharp),
        "label: best disc, in place": lambda frame: matched_radius(frame.aligned, frame.blurry)[0],
        "the same where it is known": known_radius,
    }
    if given.dmenet:
        dmenet = DMENetMap(given.dmenet, given.dmenet_width)
        maps["DMENet"] = lambda frame: dmenet(frame.blurry)
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as run:
            own = (
                f"data.root='{given.root}'",
                f"seed={seed}",
                f"trainer.max_epochs={given.epochs}",
                f"objective.map={given.map}",
                f"data.frames_per_photo.train={given.frames}",
            )
            started = time.process_time()
            module, _, _ = train_row(compose_training(Path(run), [*SETTINGS, *own]), Path(run))
            print(f"seed {seed}: {(time.process_time() - started) / 60:.0f} min of processor time", flush=True)
        maps[f"label: reblurring network, seed {seed}"] = partial(reblurring_radius, module.eval())
        maps[f"jdrl_map, seed {seed}"] = partial(learned, module)
    print(HEAD)
    frames = held_out_frames(given.root)
    for title, estimate in maps.items():
        print(row(title, estimate, frames), flush=True)


HEAD = "| map | of all pixels | rank correlation (95 %) | RMSE, px (95 %) |\n|---|---:|---|---|"


class Frame(NamedTuple):
    """A test pair: images ``(1, 3, H, W)``, ``sharp`` as far off as a focus stack's; ``radius`` ``(H, W)``, px."""

    photograph: str
    blurry: Tensor
    sharp: Tensor
    aligned: Tensor
    radius: Tensor


Estimate = Callable[[Frame], Tensor]


class PairLabel:
    """What ``objective.map=match`` measures of a pair: ``(1, 3, H, W)`` twice to ``(1, 1, H, W)``, px."""

    def __init__(self) -> None:
        self.restore = jdrl_lightning.load().restore
        objective = objectives.create("jdrl_map", flow={"name": "gauss_newton"}, reblur={}, **MASK)
        self.flow, self.radius = objective.picture_flow, objective.picture_radius

    @torch.no_grad()
    def __call__(self, blurry: Tensor, sharp: Tensor) -> Tensor:
        there, back = both_ways(self.flow, self.restore(blurry[0])[None], sharp)
        return self.radius(Pair(blurry, sharp, [""], {}), there, back)


def held_out_frames(root: Path) -> list[Frame]:
    """Two frames of each test photograph."""
    photographs, optics = all_in_folder(root / "test"), [CAMERAS["default"]]
    pairs = RenderedPairs(photographs, SEED, FRAMES, optics=optics, misalignment=preset("stack"))
    frames = []
    for index in range(len(pairs)):
        pair, name = pairs.render(index), photographs[index % len(photographs)].name
        images = (to_float(image)[None] for image in (pair.blurry, pair.sharp, pair.extras["aligned"]))
        frames.append(Frame(name, *images, pair.extras["coc"][0]))
    return frames


def row(title: str, estimate: Estimate, frames: list[Frame]) -> str:
    """A line of the table: the map that ``estimate`` makes, ``(1, 1, H, W)`` px, against the truth."""
    rank: dict[str, list[float]] = {}
    rmse: dict[str, list[float]] = {}
    shares: list[float] = []
    for frame in frames:
        true = frame.radius
        with torch.no_grad():
            found = estimate(frame)[0, 0, : true.shape[0], : true.shape[1]]
        known = found.isfinite()
        rank.setdefault(frame.photograph, []).append(correlation(ranks(found[known]), ranks(true[known])))
        rmse.setdefault(frame.photograph, []).append(float((found - true)[known].square().mean().sqrt()))
        shares.append(float(known.double().mean()))
    return f"| {title} | {100 * statistics.mean(shares):.0f} % | {interval(rank)} | {interval(rmse)} |"


def learned(module: Any, frame: Frame) -> Tensor:
    """The map of a trained module, px."""
    radius: Tensor = module.backbone(frame.blurry).aux["coc"]
    return radius


def reblurring_radius(module: Any, frame: Frame) -> Tensor:
    """What its reblurring network sees, as the radius of a disc of the same mean radius, px."""
    radius: Tensor = module.objective.reblur.blur_radius(frame.aligned, frame.blurry)
    return DISC * radius


def known_radius(frame: Frame) -> Tensor:
    """The best disc's, NaN where it is not known."""
    radius, known = matched_radius(frame.aligned, frame.blurry)
    return torch.where(known > 0, radius, torch.nan)


def interval(values: dict[str, list[float]]) -> str:
    """Mean over photographs and its 95 % interval."""
    means = [statistics.mean(own) for own in values.values()]
    low, high = bootstrap_interval(means)
    return f"{statistics.mean(means):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
