"""Time and memory of the reblurring operator against the per-pixel form that was published.

    python benchmarks/reblur_operator.py [--size 256] [--batch 1] [--repeats 7]

Times: both forms in one process, taking turns, median. Memory: each form in a process of its own; the peak resident
set (VmHWM) reached in the step, minus what was resident before it, with torch loaded and the inputs made. Linux only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from jdrl_lightning.reblur.operator import reblur
from per_pixel_reblur import per_pixel_reblur

FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"per-pixel": per_pixel_reblur, "ours": reblur}


def inputs(size: int, batch: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, size, size, generator=generator)
    seeds = torch.randn(batch, 35, size, size, generator=generator)
    weights = torch.randn(batch, 8, size, size, generator=generator).softmax(dim=1)
    return [tensor.requires_grad_() for tensor in (image, seeds, weights)]


def step(form: str, tensors: list[Tensor], backward: bool) -> tuple[Tensor, ...]:
    if not backward:
        with torch.no_grad():
            return (FORMS[form](*tensors),)
    result = FORMS[form](*tensors)
    return (result.detach(), *torch.autograd.grad(result, tensors, torch.ones_like(result)))


def resident_mib(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process; unlike ``ru_maxrss`` not inherited from the parent."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field)) / 1024


def extra_memory_mib(form: str, size: int, batch: int, backward: bool) -> float:
    step(form, inputs(16, 1), backward)  # loads whatever torch loads on first use
    tensors = inputs(size, batch)
    before = resident_mib("VmRSS")
    step(form, tensors, backward)
    return resident_mib("VmHWM") - before


def measure_elsewhere(form: str, size: int, batch: int, backward: bool) -> float:
    command = [sys.executable, __file__, "--memory-of", form, "--size", str(size), "--batch", str(batch)]
    if backward:
        command.append("--backward")
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(form: str, tensors: list[Tensor], backward: bool) -> float:
    start = time.perf_counter()
    step(form, tensors, backward)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="pixels a side")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--memory-of", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--backward", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print(extra_memory_mib(args.memory_of, args.size, args.batch, args.backward))
        return

    tensors = inputs(args.size, args.batch)
    print(f"$ python {' '.join(sys.argv)}")
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads; {args.batch}×3×{args.size}×{args.size} float32, 8 levels; "
        f"median of {args.repeats} alternating runs"
    )
    for name, ours, theirs in zip(
        ("result", "d image", "d seeds", "d weights"),
        step("ours", tensors, True),
        step("per-pixel", tensors, True),
        strict=True,
    ):
        print(f"largest difference, {name}: {(ours - theirs).abs().max():.1e} (largest value {theirs.abs().max():.1e})")
    print()
    print("| pass | form | time, ms | extra memory, MiB | times faster | memory, share |")
    print("|---|---|---:|---:|---:|---:|")
    for label, backward in (("forward", False), ("forward + backward", True)):
        times: dict[str, list[float]] = {form: [] for form in FORMS}
        for _ in range(args.repeats):
            for form, taken in times.items():
                taken.append(seconds(form, tensors, backward))
        median = {form: statistics.median(taken) for form, taken in times.items()}
        memory = {form: measure_elsewhere(form, args.size, args.batch, backward) for form in FORMS}
        for form in FORMS:
            faster, share = median["per-pixel"] / median[form], memory[form] / memory["per-pixel"]
            print(
                f"| {label} | {form} | {1000 * median[form]:.0f} | {memory[form]:.0f} | {faster:.1f} | {share:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
