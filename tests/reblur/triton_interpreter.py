"""The Triton kernel, interpreted, and the reference: ``TRITON_INTERPRET=1 python triton_interpreter.py results.pt``.

In a process of its own, since Triton decides between interpreter and compiler when it is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

# name: levels, height, width, batch, channels, support, absolute, dtype of seeds and weights, stride
CASES = {
    "one pixel": (2, 1, 1, 1, 1, "square", True, torch.float32, 1),
    "wider than a tile": (2, 6, 35, 2, 1, "square", True, torch.float32, 1),
    "a disk": (3, 5, 7, 1, 3, "disk", True, torch.float32, 1),
    "raw seeds": (3, 2, 3, 2, 2, "square", False, torch.float32, 1),
    "half precision": (4, 3, 5, 1, 1, "square", True, torch.bfloat16, 1),
    "nan": (3, 6, 8, 1, 1, "disk", True, torch.float32, 1),
    "maps of half the size": (2, 9, 5, 2, 1, "square", False, torch.float32, 2),
    "maps of a third, a disk": (3, 4, 7, 1, 2, "disk", True, torch.bfloat16, 3),
    "one value for the image": (2, 2, 3, 1, 1, "square", True, torch.float32, 4),
    "in strips of three rows": (2, 11, 7, 2, 1, "square", True, torch.float32, 4),
    "in strips of six, a disk": (3, 13, 7, 1, 2, "disk", True, torch.bfloat16, 3),
}
STRIP_PIXELS = 42


def computed(name: str) -> dict[str, list[Tensor]]:
    """Of both kernels the result and all gradients, then the gradients when only some are needed."""
    from jdrl_lightning.reblur import reference, triton_kernel
    from reblur.random_maps import random_inputs

    triton_kernel.STRIP_PIXELS = STRIP_PIXELS
    levels, height, width, batch, channels, support, absolute, dtype, stride = CASES[name]
    inputs = random_inputs(levels, height, width, batch, channels, support=support, absolute=absolute, stride=stride)
    if name == "nan":
        inputs.seeds[0, 3, 2, 5] = float("nan")
    inputs = inputs._replace(seeds=inputs.seeds.to(dtype), weights=inputs.weights.to(dtype))
    grad = torch.randn(inputs.output_shape, generator=torch.Generator().manual_seed(0))
    found = {}
    for label, kernel in (("triton", triton_kernel), ("reference", reference)):
        found[label] = [kernel.forward(inputs)]
        for needed in ((True, True), (True, False), (False, True)):
            found[label] += kernel.backward(grad, inputs, *needed)
    return found


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])
    torch.save({name: computed(name) for name in CASES}, sys.argv[1])
