"""The Triton kernels launched: in Triton's interpreter, and on a GPU if there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from jdrl_lightning.reblur import reference
from reblur import triton_interpreter
from reblur.random_maps import random_inputs

pytest.importorskip("triton", reason="Triton is not installed: the CUDA kernel is not tested")


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[Tensor]]]:
    results = tmp_path_factory.mktemp("triton") / "results.pt"
    command = [sys.executable, str(Path(triton_interpreter.__file__)), str(results)]
    done = subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return torch.load(results, weights_only=True)


@pytest.mark.parametrize("case", triton_interpreter.CASES)
def test_equals_the_reference(interpreted: dict[str, dict[str, list[Tensor]]], case: str) -> None:
    found, expected = interpreted[case]["triton"], interpreted[case]["reference"]
    assert len(found) == 1 + 3 + 1 + 2
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert any(tensor.isnan().any() for tensor in found) == (case == "nan")
    assert all(map(torch.equal, found[4:], found[1:4])) or case == "nan"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("half", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("support", ["square", "disk"])
@pytest.mark.parametrize("stride", [1, 4])
def test_on_a_gpu(stride: int, support: str, half: torch.dtype) -> None:
    from jdrl_lightning.reblur import triton_kernel

    inputs = random_inputs(8, 61, 83, 2, support=support, stride=stride).map(Tensor.cuda)
    inputs = inputs._replace(seeds=inputs.seeds.to(half), weights=inputs.weights.to(half))
    grad = torch.randn(2, 3, 61, 83, device="cuda")
    found, expected = (
        [kernel.forward(inputs), *kernel.backward(grad, inputs, True, True)] for kernel in (triton_kernel, reference)
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert all(map(torch.equal, found[1:], triton_kernel.backward(grad, inputs, True, True)))
