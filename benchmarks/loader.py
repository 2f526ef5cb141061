"""Random training crops per second and core: 512 px PNG files, the same pairs packed, and whole images packed.

    OMP_NUM_THREADS=1 python benchmarks/loader.py [--pairs 60] [--draws 200] [--rounds 7]

All stores take turns in one process; median over the rounds. Timed is the work of a loader worker: read a pair, crop
256 px, flip and rotate. After the first round, files are in the page cache. Images are scikit-image photographs with a
little noise, so that a PNG is as large as a camera's. litdata if installed. Copying alone: the share of the time that
reading and writing a crop pair once would take at the rate of a large copy.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from skimage import data as photographs
from torch import Tensor
from torch.utils.data import Dataset

from jdrl_lightning.data.datamodule import TrainingCrops
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.storage.litdata_pairs import StreamedPairs, stream
from jdrl_lightning.data.storage.pack import PackedPairs, pack
from jdrl_lightning.io.image import write_image
from jdrl_lightning.types import Pair
from roofline import ceilings

CROP, PATCH, WHOLE = 256, 512, (1120, 1680)  # px; the last: height and width of DPDD's pictures
NOISE = 3.0  # of 255


class Pictures(Dataset[Pair]):
    """Regions of photographs under noise; the blurry one shows another scene, which costs as much to read."""

    def __init__(self, count: int, height: int, width: int, dtype: torch.dtype) -> None:
        self.count, self.size, self.dtype = count, (height, width), dtype
        sources = [photographs.astronaut(), photographs.retina(), photographs.hubble_deep_field()]
        self.sources = [np.tile(source, (3, 4, 1)) for source in sources]

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        return Pair(self._picture(2 * index), self._picture(2 * index + 1), f"{index:03}", {})

    def _picture(self, number: int) -> Tensor:
        rng = np.random.default_rng(number)
        source, (height, width) = self.sources[number % len(self.sources)], self.size
        top, left = (int(rng.integers(given - side + 1)) for given, side in zip(source.shape, self.size, strict=False))
        noisy = source[top : top + height, left : left + width] + NOISE * rng.standard_normal((height, width, 3))
        scale = 1 if self.dtype == torch.uint8 else 257
        whole = (noisy.clip(0, 255) * scale).round().astype(np.int32).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(whole)).to(self.dtype)


def stores(folder: Path, count: int, dtype: torch.dtype) -> dict[str, Dataset[Pair]]:
    """Every store's pairs, written below ``folder``, opened as for a training."""
    patches = Pictures(count, PATCH, PATCH, dtype)
    for index in range(count):
        pair = patches[index]
        for kind, image in (("blur", pair.blurry), ("gt", pair.sharp)):
            write_image(folder / "files" / "train" / kind / f"{pair.name}.png", image)
    pack(patches, folder / "packed" / "train")
    pack(Pictures(max(1, count * PATCH**2 // (WHOLE[0] * WHOLE[1])), *WHOLE, dtype), folder / "whole" / "train")
    found: dict[str, Dataset[Pair]] = {
        f"PNG, {PATCH} px": FolderPairs(folder / "files", "train"),
        f"packed, {PATCH} px": PackedPairs(folder / "packed", "train"),
        f"packed, {WHOLE[1]}x{WHOLE[0]} px": PackedPairs(folder / "whole", "train"),
    }
    if find_spec("litdata") is not None:
        stream(patches, folder / "streamed" / "train")
        found[f"litdata, {PATCH} px"] = StreamedPairs(folder / "streamed", "train")
    return found


def rate(crops: TrainingCrops, draws: int, epoch: int) -> float:
    """Crop pairs a second."""
    items = np.random.default_rng(epoch).permutation(draws)
    start = time.perf_counter()
    for item in items:
        crops[epoch, int(item)]
    return draws / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60, help=f"of {PATCH} px; whole images: as many pixels in total")
    parser.add_argument("--draws", type=int, default=200, help="crop pairs per store and round")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    copied = ceilings().bytes
    print(
        "| bits | store | MiB per image | crop pairs/s | times PNG | copying alone, % |\n|---|---|---:|---:|---:|---:|"
    )
    for dtype in (torch.uint8, torch.uint16):
        with tempfile.TemporaryDirectory() as name:
            found = stores(Path(name), args.pairs, dtype)
            png = statistics.mean(p.stat().st_size for p in Path(name, "files").rglob("*.png")) / 2**20
            crops = {store: TrainingCrops(pairs, CROP, seed=0) for store, pairs in found.items()}
            rounds = []
            for epoch in range(args.rounds + 1):
                rounds.append({store: rate(one, args.draws, epoch) for store, one in crops.items()})
            del rounds[0]  # it read the disk
            first = next(iter(crops))
            for store, pairs in found.items():
                size = png if store == first else pairs[0].sharp.nbytes / 2**20
                speed = statistics.median(one[store] for one in rounds)
                ratio = statistics.median(one[store] / one[first] for one in rounds)
                alone = 100 * speed * 4 * 3 * CROP**2 * dtype.itemsize / copied
                cells = f"{size:.2f} | {speed:.0f} | {ratio:.1f} | {alone:.1f}"
                print(f"| {8 * dtype.itemsize} | {store} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
