"""The names that two published sets of PWC-Net weights give to the same layers."""

from __future__ import annotations

from torch import Tensor

__all__ = ["NVLABS", "SNIKLAUS", "rename"]

WORDS = ("One", "Two", "Thr", "Fou", "Fiv", "Six")


def rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our keys for those of sniklaus/pytorch-pwc or NVlabs/PWC-Net; what is neither keeps its own."""
    if any(key.startswith(("moduleExtractor", "netExtractor")) for key in state):
        state, names = {key.replace("module", "net"): value for key, value in state.items()}, SNIKLAUS
    else:
        # A file may hold an upsampling below the finest level, which no decoder uses.
        state, names = {key: value for key, value in state.items() if not key.startswith("deconv2.")}, NVLABS
    return {_renamed(key, names): value for key, value in state.items()}


def _renamed(key: str, names: dict[str, str]) -> str:
    layer, _, kind = key.rpartition(".")
    return f"{names.get(layer, layer)}.{kind}"


def _sniklaus() -> dict[str, str]:
    names = {f"netExtractor.net{WORDS[n - 1]}.{i}": f"extractor.{n}.{i}" for n in range(1, 7) for i in (0, 2, 4)}
    for level in range(2, 7):
        decoder = f"net{WORDS[level - 1]}"
        names |= {f"{decoder}.net{WORDS[i]}.0": f"decoders.{level}.dense.{i}" for i in range(5)}
        names |= {f"{decoder}.netSix.0": f"decoders.{level}.flow"}
    for level in range(2, 6):
        decoder = f"net{WORDS[level - 1]}"
        names |= {f"{decoder}.netUpflow": f"decoders.{level}.up_flow"}
        names |= {f"{decoder}.netUpfeat": f"decoders.{level}.up_features"}
    return names | {f"netRefiner.netMain.{i}": f"context.{i}" for i in range(0, 13, 2)}


def _nvlabs() -> dict[str, str]:
    names: dict[str, str] = {}
    for level in range(1, 7):
        order = ("aa", "a", "b") if level == 6 else ("a", "aa", "b")
        names |= {f"conv{level}{order[i]}.0": f"extractor.{level}.{2 * i}" for i in range(3)}
    for level in range(2, 7):
        names |= {f"conv{level}_{i}.0": f"decoders.{level}.dense.{i}" for i in range(5)}
        names |= {f"predict_flow{level}": f"decoders.{level}.flow"}
    for level in range(2, 6):  # there, a level upsamples for the next finer one
        names |= {f"deconv{level + 1}": f"decoders.{level}.up_flow"}
        names |= {f"upfeat{level + 1}": f"decoders.{level}.up_features"}
    return names | {f"dc_conv{i + 1}.0": f"context.{2 * i}" for i in range(6)} | {"dc_conv7": "context.12"}


SNIKLAUS, NVLABS = _sniklaus(), _nvlabs()
