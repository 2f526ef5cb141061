"""What can a map of the blur lose by being enlarged? ``python benchmarks/enlarged_blur.py``

The true radius of the test images of ``stride_blur.py``, averaged over cells of 2×2 and 4×4 px and enlarged bilinearly,
then also filtered along the edges of the sharp image by the best of some guided filters. Mean absolute error, px,
everywhere and within 4 px of depth edges.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from kornia.filters import guided_blur
from torch import Tensor

from jdrl_lightning.data.augment import collate
from jdrl_lightning.reblur.enlarging import enlarge
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.types import Pair
from stride_blur import errors, frames

SIDES = (3, 5, 9, 17)  # of the filter's window, px
EPS = (1e-4, 1e-3, 1e-2)


def enlarged(pair: Pair, stride: int) -> Tensor:
    """The truth, ``(1, 1, H, W)``, after averaging and enlarging."""
    truth = pair.extras["coc"]
    cells = F.avg_pool2d(truth, stride, ceil_mode=True, count_include_pad=False)
    return enlarge(cells, stride, *truth.shape[-2:])


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    pairs = [collate([pair]).to_float() for pair in frames("test")]
    guides = [pair.extras["aligned"].mean(1, keepdim=True) for pair in pairs]
    print("| cells | enlarged | error, px | at edges |\n|---|---|---:|---:|")
    for stride in (2, 4):
        maps = [enlarged(pair, stride) for pair in pairs]
        plain, filtered = errors(maps, pairs), {}
        for side, eps in itertools.product(SIDES, EPS):
            along = [guided_blur(guide, each, side, eps) for guide, each in zip(guides, maps, strict=True)]
            filtered[f"and along edges, {side}×{side}, ε = {eps:g}"] = errors(along, pairs)
        best = min(filtered, key=lambda row: filtered[row][1])
        for row, (everywhere, edges) in (("bilinearly", plain), (best, filtered[best])):
            print(f"| {stride}×{stride} | {row} | {everywhere:.3f} | {edges:.3f} |", flush=True)


if __name__ == "__main__":
    main()
