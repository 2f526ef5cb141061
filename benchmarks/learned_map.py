"""The blur map that ``objective=jdrl_map`` teaches without any truth: ``python benchmarks/learned_map.py --root DIR``

Trained on rendered pairs as far apart as a focus stack's, from the shipped weights without their map; what it says of
the blurry image alone is compared with the true circle of confusion, within each of two frames of each test photograph.
Beside it: EBDB, JNB, DMENet where its weights are given, ``compact``, whose map was trained with the truth, and the two
labels, found from the blurry and the true sharp image: the best disc, and the radius that the reblurring network of the
same training predicts. The folder has ``train/``, ``val/`` and ``test/``. Intervals are 95 % over photographs.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import jdrl_lightning
from defocus_maps import correlation, ranks
from jdrl_lightning.backbones.guided import DISC
from jdrl_lightning.classical.ebdb import ebdb_map
from jdrl_lightning.classical.jnb import jnb_map
from jdrl_lightning.classical.methods import DMENetMap
from jdrl_lightning.data.synthetic.camera import CAMERAS
from jdrl_lightning.data.synthetic.dataset import RenderedPairs
from jdrl_lightning.data.synthetic.photographs import all_in_folder
from jdrl_lightning.demo.comparison import QUIET, compose_training, train_row
from jdrl_lightning.metrics.report import bootstrap_interval
from jdrl_lightning.reblur.matching import matched_radius
from jdrl_lightning.types import to_float
from misalignment import COARSE, JOINT, network_settings

PAIRS = ("data.camera=default", "data.misalignment=stack")
GUIDED = network_settings("compact", "builtin", guided=True)
SETTINGS = ("experiment=misalignment", *QUIET, *GUIDED, "objective=jdrl_map", *JOINT, *COARSE, *PAIRS)
EPOCHS = 12  # of 82 steps with 4 frames of each of 41 photographs
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
    maps: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "EBDB": lambda blurry, sharp: ebdb_map(blurry),
        "JNB": lambda blurry, sharp: jnb_map(blurry),
        "compact, by the truth": lambda blurry, sharp: shipped.blur_map(blurry[0])[None, None],
        "label: best disc": lambda blurry, sharp: matched_radius(sharp, blurry)[0],
        "the same where it is known": lambda blurry, sharp: known_radius(sharp, blurry),
    }
    if given.dmenet:
        dmenet = DMENetMap(given.dmenet, given.dmenet_width)
        maps["DMENet"] = lambda blurry, sharp: dmenet(blurry)
    for seed in given.seeds:
        with tempfile.TemporaryDirectory() as run:
            own = (
                f"data.root='{given.root}'",
                f"seed={seed}",
                f"trainer.max_epochs={given.epochs}",
                f"objective.map={given.map}",
                f"data.frames_per_photo={{train: {given.frames}, val: 1, test: 1}}",
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


def held_out_frames(root: Path) -> list[tuple[str, Tensor, Tensor, Tensor]]:
    """Photograph, blurry and sharp image ``(1, 3, H, W)``, and the true radius ``(H, W)``, px, of each test frame."""
    pairs = RenderedPairs(photographs := all_in_folder(root / "test"), SEED, FRAMES, optics=[CAMERAS["default"]])
    frames = []
    for index in range(len(pairs)):
        pair, name = pairs.render(index), photographs[index % len(photographs)].name
        sharp = to_float(pair.extras["aligned"])
        frames.append((name, to_float(pair.blurry)[None], sharp[None], pair.extras["coc"][0]))
    return frames


def row(
    title: str, estimate: Callable[[Tensor, Tensor], Tensor], frames: list[tuple[str, Tensor, Tensor, Tensor]]
) -> str:
    """A line of the table: the map that ``estimate`` makes of blurry and sharp image, against the truth."""
    rank: dict[str, list[float]] = {}
    rmse: dict[str, list[float]] = {}
    shares: list[float] = []
    for name, blurry, sharp, true in frames:
        with torch.no_grad():
            found = estimate(blurry, sharp)[0, 0, : true.shape[0], : true.shape[1]]
        known = found.isfinite()
        rank.setdefault(name, []).append(correlation(ranks(found[known]), ranks(true[known])))
        rmse.setdefault(name, []).append(float((found - true)[known].square().mean().sqrt()))
        shares.append(float(known.double().mean()))
    return f"| {title} | {100 * statistics.mean(shares):.0f} % | {interval(rank)} | {interval(rmse)} |"


def learned(module: Any, blurry: Tensor, sharp: Tensor) -> Tensor:
    """The map of a trained module, px."""
    radius: Tensor = module.backbone(blurry).aux["coc"]
    return radius


def reblurring_radius(module: Any, blurry: Tensor, sharp: Tensor) -> Tensor:
    """What its reblurring network sees, as the radius of a disc of the same mean radius, px."""
    radius: Tensor = module.objective.reblur.blur_radius(sharp, blurry)
    return DISC * radius


def known_radius(sharp: Tensor, blurry: Tensor) -> Tensor:
    """The best disc's, NaN where it is not known."""
    radius, known = matched_radius(sharp, blurry)
    return torch.where(known > 0, radius, torch.nan)


def interval(values: dict[str, list[float]]) -> str:
    """Mean over photographs and its 95 % interval."""
    means = [statistics.mean(own) for own in values.values()]
    low, high = bootstrap_interval(means)
    return f"{statistics.mean(means):.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
