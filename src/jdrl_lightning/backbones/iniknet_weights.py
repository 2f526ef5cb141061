"""INIKNet's weights as the authors' training code writes them, under our names."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.io.weights import read_weights, unwrap

__all__ = ["read_published"]

# Applied one after the other: a pattern of theirs, and what it is here.
NAMES = (
    (r"\.main\.0\.weight$", ".weight"),
    (r"\.layers\.(\d+)\.main\.0\.", r".\1.first."),
    (r"\.layers\.(\d+)\.main\.1\.", r".\1.second."),
    (r"^unet\.(En|De)coder\.", lambda found: f"features.{found[1].lower()}code."),
    (r"^unet\.feat_extract\.([012])\.", r"features.enter.\1."),
    (r"^unet\.feat_extract\.3\.", "features.merge.0."),
    (r"^unet\.feat_extract\.4\.", "features.merge.1."),
    (r"^unet\.up1\.", "features.up.0."),
    (r"^unet\.up2\.", "features.up.1."),
    (r"^lstms_basis_select\.", "base_memory."),
    (r"^lstms_scale_select\.", "size_memory."),
    (r"\.left2right\.cell\.", ".to_fine."),
    (r"\.right2left\.cell\.", ".to_coarse."),
    (r"^(.*_memory\.to_\w+)\.layers\.", r"\1.blocks."),
    (r"^(.*_memory\.to_\w+)\.conv\.", r"\1.gates."),
    (r"\.norm\.norm\.", ".norm."),
    (r"^basis_select\.", "base_head."),
    (r"^scale_select\.", "size_head."),
    (r"^sum\.", "colours."),
)
# A coordinate network's tensors, which are stacked here. Its second sine, layer 3, has the first one's frequency.
COORDINATE_NETWORK = {
    "0.weight": "first.weight",
    "0.bias": "first.bias",
    "1.w0": "frequency",
    "2.weight": "second.weight",
    "2.bias": "second.bias",
    "4.weight": "last.weight",
}


def read_published(file: Path, bases: int) -> dict[str, Tensor] | None:
    """The tensors of :class:`.INIKNet` from a state dict of the authors' network; None if the file is no such.

    Args:
        file: PyTorch or safetensors.
        bases: coordinate networks that the file should have.

    Raises:
        UserError: see :func:`read_weights` and :func:`unwrap`; a tensor that is missing or does not fit is returned as
            it is, for the caller to report.
    """
    _, state = unwrap(read_weights(file), file)
    if not any(key.startswith("inr_conv.") for key in state):
        return None
    networks = [f"inr_conv.kernelINR_list.{number}.layers." for number in range(bases)]
    for theirs, ours in COORDINATE_NETWORK.items():
        keys = [network + theirs for network in networks]
        if all(key in state for key in keys) and len({state[key].shape for key in keys}) == 1:
            state[f"kernels.{ours}"] = torch.stack([state.pop(key) for key in keys])
    for network in networks:
        state.pop(f"{network}3.w0", None)
    return {_renamed(key): value for key, value in state.items()}


def _renamed(key: str) -> str:
    for pattern, name in NAMES:
        key = re.sub(pattern, name, key)
    return key
