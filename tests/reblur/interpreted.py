"""The Triton form by its interpreter beside the ring form: ``TRITON_INTERPRET=1 python interpreted.py results.pt``.

A process of its own, since Triton decides between interpreter and compiler when it is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

# name: levels, height, width, batch, channels, support, absolute, precision of seeds and weights
CASES = {
    "one pixel": (2, 1, 1, 1, 1, "square", True, torch.float32),
    "wider than a tile": (2, 6, 35, 2, 1, "square", True, torch.float32),
    "a disk": (3, 5, 7, 1, 3, "disk", True, torch.float32),
    "raw seeds": (3, 2, 3, 2, 2, "square", False, torch.float32),
    "half precision": (4, 3, 5, 1, 1, "square", True, torch.bfloat16),
    "nan": (3, 6, 8, 1, 1, "disk", True, torch.float32),
}


def both(name: str) -> dict[str, list[Tensor]]:
    """Result and gradients of both forms; and the two forms' gradients where only some are needed."""
    from jdrl_lightning.reblur import reference, triton_kernel
    from reblur.maps import padded_maps

    levels, height, width, batch, channels, support, absolute, half = CASES[name]
    padded, seeds, weights = padded_maps(levels, height, width, batch, channels)
    if name == "nan":
        seeds[0, 3, 2, 5] = float("nan")
    tensors = padded, seeds.to(half), weights.to(half)
    grad = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(0))
    found = {}
    for label, form in (("triton", triton_kernel), ("rings", reference)):
        found[label] = [form.forward(*tensors, support, absolute)]
        for needed in ((True, True), (True, False), (False, True)):
            found[label] += form.backward(grad, *tensors, support, absolute, *needed)
    return found


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    torch.save({name: both(name) for name in CASES}, sys.argv[1])
