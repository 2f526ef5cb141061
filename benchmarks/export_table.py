"""Which backbones can be exported to ONNX and torch.export: a table, made by exporting each.

    python benchmarks/export_table.py [name …] [--size 64]

Each network at its published size with random parameters, including those initialised to 0, so that every layer
affects the output. Numbers are the largest difference from torch on new images. spandrel stands for the network that it
recognises; here, our NAFNet's weights.
"""

from __future__ import annotations

import argparse
import gc
import logging
import platform
import sys
import tempfile
import time
import warnings
from pathlib import Path

import onnxruntime
import torch

from jdrl_lightning import UserError, backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.inference.export_formats import FORMATS, Shape, difference, program, serialized

KINDS = {"fixed": {}, "any_size": {"any_size": True}, "any_size, any_batch": {"any_size": True, "any_batch": True}}


def network(name: str, folder: Path) -> Backbone:
    torch.manual_seed(0)
    settings = {}
    if name == "spandrel":
        settings["path"] = str(folder / "nafnet.pth")
        torch.save({"params": backbones.create("nafnet").network.state_dict()}, settings["path"])
    backbone = backbones.create(name, **settings)
    for parameter in backbone.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.02)
    return backbone


def cell(backbone: Backbone, format: str, shape: Shape) -> str:
    try:
        content = serialized(program(backbone, shape), format, backbone, shape)
        return f"{difference(content, format, backbone, shape):.0e}"
    except UserError as error:
        return f"no: {str(error).partition('(')[2].rpartition(')')[0] or error}"
    finally:
        gc.collect()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help="backbone (default: all)")
    parser.add_argument("--size", type=int, default=64, help="side, px, a multiple of every divisor")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    print(f"$ python {' '.join(sys.argv)}")
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}")
    print()
    print(f"| network | format | {' | '.join(KINDS)} | seconds, fixed |")
    print(f"|---|---|{'---|' * len(KINDS)}---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or backbones.names():
            backbone = network(name, Path(folder))
            for format in FORMATS:
                cells, seconds = [], []
                for free in KINDS.values():
                    start = time.process_time()
                    cells.append(cell(backbone, format, Shape(1, args.size, args.size, **free)))
                    seconds.append(time.process_time() - start)
                print(f"| {name} | {format} | {' | '.join(cells)} | {seconds[0]:.0f} |", flush=True)


if __name__ == "__main__":
    main()
