"""The reblurring operator on a GPU: agreement with the reference, time and memory against per-pixel kernels.

    python benchmarks/gpu_operator.py [--device cuda] [--size 256] [--batch 8] [--repeats 20]

Forward and backward, float32, maps at the image's resolution and for 4×4 px. ``floor``: what must be read and written,
at the rate at which the device copies a large tensor, measured here. ``--device cpu`` tries the script without a GPU.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from jdrl_lightning.reblur import custom_op, reference
from jdrl_lightning.reblur.enlarging import coarse_size
from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.operator import reblur
from per_pixel_reblur import per_pixel_reblur

LEVELS, SEEDS, STRIDES = 8, 35, (1, 4)
COPIED = 1 << 26  # float32 values


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=256, help="side, px")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=20)
    given = parser.parse_args()
    device = torch.device(given.device)
    bandwidth = copied_bytes_a_second(device, given.repeats)
    print(f"\n{name_of(device)}, {given.batch}×3×{given.size}², copies {bandwidth / 1e9:.0f} GB/s\n")
    print("| form | time, ms | floor, ms | peak memory, MiB | error |\n|---|---:|---:|---:|---:|")
    for stride in STRIDES:
        inputs = made(given.batch, given.size, stride, device)
        moved = (
            sum(t.nbytes for t in inputs) * 2 + 2 * inputs[0].nbytes
        )  # each read, its gradient written; out, its grad
        milliseconds, peak = measured(lambda i=inputs, s=stride: step(reblur, i, stride=s), device, given.repeats)
        error = f"{disagreement(inputs, stride):.1e}"
        print(
            f"| operator, stride {stride} | {milliseconds:.2f} | {1e3 * moved / bandwidth:.2f} | {peak:.0f} | {error} |"
        )
    inputs = made(given.batch, given.size, 1, device)
    milliseconds, peak = measured(lambda: step(per_pixel_reblur, inputs), device, given.repeats)
    print(f"| per-pixel kernels | {milliseconds:.2f} | | {peak:.0f} | |")


def made(batch: int, size: int, stride: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Image, seeds and weights that want gradients."""
    torch.manual_seed(0)
    shape = coarse_size(size, size, stride)
    image = torch.rand(batch, 3, size, size, device=device)
    seeds = torch.randn(batch, SEEDS, *shape, device=device)
    weights = torch.randn(batch, LEVELS, *shape, device=device).softmax(1)
    return image.requires_grad_(), seeds.requires_grad_(), weights.requires_grad_()


def step(form: Callable[..., Tensor], inputs: tuple[Tensor, Tensor, Tensor], **settings: int) -> None:
    """Forward and backward."""
    for tensor in inputs:
        tensor.grad = None
    form(*inputs, LEVELS, **settings).sum().backward()


def disagreement(inputs: tuple[Tensor, Tensor, Tensor], stride: int) -> float:
    """The largest difference from the reference on this device, of output and gradients, over the largest value."""
    image, seeds, weights = (tensor.detach() for tensor in inputs)
    padded = torch.nn.functional.pad(image, [LEVELS - 1] * 4)
    call = ReblurInputs(padded, seeds, weights, "square", True, stride)
    fast, slow = (custom_op._forward_and_backward(k, call) for k in (custom_op._select_kernel(padded), reference))
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(fast, slow, strict=True))


def measured(run: Callable[[], None], device: torch.device, repeats: int) -> tuple[float, float]:
    """Median time, ms, and on CUDA the peak of allocated memory over what was allocated before, MiB."""
    run()
    cuda = device.type == "cuda"
    before = torch.cuda.memory_allocated() if cuda else 0
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = [timed(run, cuda) for _ in range(repeats)]
    peak = (torch.cuda.max_memory_allocated() - before) / 2**20 if cuda else float("nan")
    return 1e3 * statistics.median(times), peak


def timed(run: Callable[[], object], cuda: bool) -> float:
    """Seconds until the device has done everything."""
    if cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def copied_bytes_a_second(device: torch.device, repeats: int) -> float:
    """Bytes read and written a second by a copy."""
    source = torch.empty(COPIED, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = statistics.median(timed(lambda: target.copy_(source), device.type == "cuda") for _ in range(repeats))
    return 2 * source.nbytes / seconds


def name_of(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


if __name__ == "__main__":
    main()
