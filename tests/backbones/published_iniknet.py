"""A weight file as INIKNet's authors' code writes them, small, of values that a formula gives."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning import backbones
from jdrl_lightning.backbones import Backbone, load_weights

WIDTH, BASES = 4, 3


def uniform(shape: tuple[int, ...], number: int) -> Tensor:
    """Values in [0, 1) from integers alone, so that they are the same everywhere."""
    place = torch.arange(math.prod(shape), dtype=torch.float64)
    return ((place * 7919 + number * 104729) % 2003 / 2003).reshape(shape)


def published() -> dict[str, Tensor]:
    """A state dict with the names and shapes of the authors' network, width 4 and 3 kernels, and formulas' values."""
    shapes: dict[str, tuple[int, ...]] = {}

    def blocks(name: str, channels: int) -> None:
        for block in (0, 1):
            for layer in (0, 1):
                shapes[f"{name}.layers.{block}.main.{layer}.main.0.weight"] = (channels, channels, 3, 3)

    for level, channels in enumerate((4, 8, 16)):
        blocks(f"unet.Encoder.{level}", channels)
    for level, channels in enumerate((8, 4)):
        blocks(f"unet.Decoder.{level}", channels)
        shapes[f"unet.up{level + 1}.main.0.weight"] = (2 * channels, channels, 4, 4)
    for place, (before, after) in enumerate([(3, 4), (4, 8), (8, 16), (16, 8), (8, 4)]):
        shapes[f"unet.feat_extract.{place}.main.0.weight"] = (after, before, 3, 3)
    for chosen, outputs in (("basis", BASES), ("scale", 8)):
        for direction in ("left2right", "right2left"):
            blocks(f"lstms_{chosen}_select.{direction}.cell.layers", 8)
            shapes[f"lstms_{chosen}_select.{direction}.cell.conv.weight"] = (16, 8, 1, 1)
            shapes[f"lstms_{chosen}_select.{direction}.cell.conv.bias"] = (16,)
        shapes |= {f"lstms_{chosen}_select.norm.norm.{kind}": (4,) for kind in ("weight", "bias")}
        shapes |= {f"{chosen}_select.weight": (outputs, 4, 1, 1), f"{chosen}_select.bias": (outputs,)}
    layers = {"0.weight": (64, 3), "0.bias": (64,), "1.w0": (), "2.weight": (64, 64), "2.bias": (64,), "3.w0": ()}
    for network in range(BASES):
        for layer, shape in (layers | {"4.weight": (1, 64)}).items():
            shapes[f"inr_conv.kernelINR_list.{network}.layers.{layer}"] = shape
    shapes |= {"sum.weight": (3, 8 * 3 * BASES, 1, 1), "sum.bias": (3,)}

    state = {}
    for number, (name, shape) in enumerate(sorted(shapes.items())):
        value = uniform(shape, number)
        if name.endswith("w0"):
            value = 2 + 10 * uniform((), int(name.split(".")[2]))
        elif name.endswith("norm.weight"):
            value = value + 0.5
        else:
            value = (value - 0.5) * (3 / math.prod(shape[1:]) ** 0.5 if len(shape) > 1 else 1)
        state[name] = value
    return state


def loaded(state: dict[str, Tensor], file: Path) -> Backbone:
    torch.save(state, file)
    backbone = backbones.create("iniknet", width=WIDTH, bases=BASES).double()
    assert load_weights(backbone, file).layout == "foreign"
    return backbone
