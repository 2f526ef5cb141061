"""The backward kernels compile; their values: ``test_triton_kernel.py``."""

from __future__ import annotations

import pytest

from reblur.compiled_kernel import machine_code

pytest.importorskip("triton", reason="Triton is not installed: the CUDA kernel is not tested")


@pytest.mark.parametrize(
    ("support", "half", "stride"), [("square", "*bf16", 1), ("disk", "*fp32", 1), ("disk", "*bf16", 4)]
)
def test_compile_for_a_gpu(support: str, half: str, stride: int) -> None:
    from jdrl_lightning.reblur.triton_backward import image_kernel, maps_kernel, shrink_kernel

    for kernel in (maps_kernel, image_kernel, shrink_kernel):
        assert len(machine_code(kernel, support, half, stride)) > 1000
