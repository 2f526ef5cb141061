"""Memory of a tile for each network: ``python benchmarks/tile_memory.py [--tiles 512 896 1184]``.

Counted on tensors with shapes but no values: peak live bytes, float32, excluding weights.
"""

from __future__ import annotations

import argparse

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from jdrl_lightning import backbones
from jdrl_lightning.runtime.counting import Alive


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiles", type=int, nargs="+", default=[512, 896, 1184], metavar="PX")
    tiles = parser.parse_args().tiles
    print(f"| memory, MiB | {' | '.join(f'{tile} px' for tile in tiles)} |\n|---|{'---:|' * len(tiles)}")
    for name in backbones.names():
        if name != "spandrel":  # a network of whatever size its file has
            print(f"| `{name}` | {' | '.join(f'{mib(name, tile):.0f}' for tile in tiles)} |", flush=True)


def mib(name: str, tile: int) -> float:
    """Of restoring one tile by a network of the published size."""
    with FakeTensorMode(), torch.no_grad():
        backbone = backbones.create(name).eval()
        picture = torch.rand(1, 3, tile, tile)
        with Alive() as alive:
            backbone(picture)
    return alive.peak / 2**20


if __name__ == "__main__":
    main()
