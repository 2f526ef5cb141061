"""Compiles a Triton kernel for a GPU that need not exist: the interpreter accepts more than the compiler does."""

from __future__ import annotations

from typing import Any


def machine_code(kernel: Any, support: str, half: str, stride: int = 1) -> bytes:
    """The machine code of a kernel at 3 levels for compute capability 8.0; ``half``: type of seeds and weights."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from jdrl_lightning.reblur import triton_kernel

    fixed = {"LEVELS": 3, "SQUARE": support == "square", "ROWS": triton_kernel.ROWS, "COLUMNS": triton_kernel.COLUMNS}
    fixed |= {"ABSOLUTE": True, "NEED_IMAGE": True, "NEED_MAPS": True, "STRIDE": stride}
    halves = ("seeds", "weights") + (("grad_seeds", "grad_weights") if stride == 1 else ())
    numbers = ("channels", "height", "width", "top", "strip", "first", "count")
    types = {}
    for name in kernel.arg_names:
        number = "i32" if name in numbers else "*fp32"
        types[name] = "constexpr" if name in fixed else half if name in halves else number
    constants = {(i,): fixed[name] for i, name in enumerate(kernel.arg_names) if name in fixed}
    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4, "num_stages": 1})
    code: bytes = compiled.asm["cubin"]
    return code
