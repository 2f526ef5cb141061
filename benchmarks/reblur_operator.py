"""Time and memory of the reblurring operator, compared with the published per-pixel form and with the machine's limits.

    python benchmarks/reblur_operator.py [--size 256] [--batch 1] [--repeats 7]

Times: all variants take turns in one process; medians, and medians of the ratios within a turn. CPU time covers all
threads. Memory: a separate process for each variant; peak resident set of the step, minus what was resident before
(torch loaded, inputs made), the output and the gradients. The second table is for one thread, in CPU time: the minimum
that must be read, written and computed, at the rates measured here, also with maps of one value for 4×4 px; the third
compares enlarging those within the operator and before it. Linux only.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from jdrl_lightning.native.library import load_library
from jdrl_lightning.reblur import cpu_kernel, custom_op, reference
from jdrl_lightning.reblur.enlarging import coarse_size, enlarge
from jdrl_lightning.reblur.kernel_interface import ReblurInputs
from jdrl_lightning.reblur.operator import reblur
from per_pixel_reblur import per_pixel_reblur
from resident import resident_mib
from roofline import Work, backward_work, ceilings, forward_work, shortest


class _Reference(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.save_for_backward(*tensors)
        return reference.forward(ReblurInputs(*tensors, "square", True))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        return tuple(reference.backward(grad, ReblurInputs(*ctx.saved_tensors, "square", True), True, True))


def reblur_by_reference(image: Tensor, seeds: Tensor, weights: Tensor) -> Tensor:
    return _Reference.apply(F.pad(image, [7] * 4), seeds, weights)


def reblur_enlarged(image: Tensor, seeds: Tensor, weights: Tensor) -> Tensor:
    return reblur(image, *(enlarge(maps, STRIDE, *image.shape[2:]) for maps in (seeds, weights)))


Form = Callable[[Tensor, Tensor, Tensor], Tensor]
STRIDE = 4
FORMS: dict[str, Form] = {"per-pixel": per_pixel_reblur, "PyTorch": reblur_by_reference, "C++": reblur}
COARSE: dict[str, Form] = {"enlarged before": reblur_enlarged, "enlarged within": partial(reblur, stride=STRIDE)}


def inputs(form: str, size: int, batch: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(batch, 3, size, size, generator=generator)
    grid = coarse_size(size, size, STRIDE if form in COARSE else 1)
    seeds = torch.randn(batch, 35, *grid, generator=generator)
    weights = torch.randn(batch, 8, *grid, generator=generator).softmax(dim=1)
    return [tensor.requires_grad_() for tensor in (image, seeds, weights)]


def step(form: str, tensors: list[Tensor], backward: bool) -> tuple[Tensor, ...]:
    if not backward:
        with torch.no_grad():
            return ((FORMS | COARSE)[form](*tensors),)
    result = (FORMS | COARSE)[form](*tensors)
    return (result.detach(), *torch.autograd.grad(result, tensors, torch.ones_like(result)))


def extra_memory_mib(form: str, size: int, batch: int, backward: bool) -> float:
    step(form, inputs(form, 16, 1), backward)  # so that lazy loading is not counted
    tensors = inputs(form, size, batch)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = resident_mib("VmRSS")
    results = step(form, tensors, backward)
    return resident_mib("VmHWM") - before - sum(result.nbytes for result in results) / 2**20


def measure_elsewhere(form: str, size: int, batch: int, backward: bool) -> float:
    command = [sys.executable, __file__, "--memory-of", form, "--size", str(size), "--batch", str(batch)]
    if backward:
        command.append("--backward")
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


class Seconds(NamedTuple):
    wall: float
    cpu: float


def seconds(form: str, tensors: list[Tensor], backward: bool) -> Seconds:
    wall, cpu = time.perf_counter(), time.process_time()
    step(form, tensors, backward)
    return Seconds(time.perf_counter() - wall, time.process_time() - cpu)


def build_seconds() -> float:
    with tempfile.TemporaryDirectory() as folder:
        kept = os.environ.get("XDG_CACHE_HOME")
        os.environ["XDG_CACHE_HOME"] = folder
        start = time.perf_counter()
        load_library.__wrapped__(*cpu_kernel.LIBRARY)
        taken = time.perf_counter() - start
        del os.environ["XDG_CACHE_HOME"]
        os.environ |= {"XDG_CACHE_HOME": kept} if kept else {}
    return taken


def compare(tensors: list[Tensor]) -> None:
    theirs = step("per-pixel", tensors, True)
    for form in ("PyTorch", "C++"):
        differences = [
            f"{name} {(a - b).abs().max():.1e} of {b.abs().max():.1e}"
            for name, a, b in zip(
                ("result", "d image", "d seeds", "d weights"), step(form, tensors, True), theirs, strict=True
            )
        ]
        print(f"largest difference, {form} and per-pixel: {', '.join(differences)}")


def table(args: argparse.Namespace, tensors: list[Tensor]) -> None:
    print(
        "| pass | form | time, ms | times faster | CPU time, ms | times faster | extra MiB | bytes/pixel | times less |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
    for label, backward in (("forward", False), ("forward + backward", True)):
        turns = [{form: seconds(form, tensors, backward) for form in FORMS} for _ in range(args.repeats + 1)][1:]
        memory = {form: measure_elsewhere(form, args.size, args.batch, backward) for form in FORMS}
        for form in FORMS:
            cells = []
            for clock in Seconds._fields:
                taken = [(getattr(turn["per-pixel"], clock), getattr(turn[form], clock)) for turn in turns]
                cells += [f"{1000 * statistics.median(ours for _, ours in taken):.1f}"]
                cells += [f"{statistics.median(theirs / ours for theirs, ours in taken):.1f}"]
            cells += [f"{memory[form]:.1f}", f"{memory[form] * 2**20 / (args.batch * args.size**2):.0f}"]
            print(f"| {label} | {form} | {' | '.join(cells)} | {memory['per-pixel'] / memory[form]:.0f} |", flush=True)


def roofline(args: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    limit, pixels = ceilings(), args.batch * args.size**2
    runs: dict[str, tuple[Work, Callable[[], object]]] = {}
    for form, stride in (("C++", 1), ("enlarged within", STRIDE)):
        image, seeds, weights = (tensor.detach() for tensor in inputs(form, args.size, args.batch))
        given = ReblurInputs(F.pad(image, [7] * 4), seeds, weights, "square", True, stride)
        runs[f"forward, stride {stride}"] = forward_work(stride=stride), partial(cpu_kernel.forward, given)
        backward = partial(cpu_kernel.backward, torch.ones_like(image), given, True, True)
        runs[f"backward, stride {stride}"] = backward_work(stride=stride), backward
    print(
        f"limits of one thread: copy {limit.bytes / 1e9:.1f} GB/s, {limit.multiply_adds / 1e9:.1f} G multiply-adds/s "
        f"(matrix product), {limit.exps / 1e9:.2f} G exponentials/s (PyTorch's)"
    )
    print("| pass | bytes per pixel | instructions per pixel | memory, ms | arithmetic, ms | measured, ms | fraction |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for label, (work, run) in runs.items():
        memory, arithmetic = limit.seconds(work, pixels)
        taken = shortest(run)
        cells = [f"{1000 * value:.2f}" for value in (memory, arithmetic, taken)]
        share = max(memory, arithmetic) / taken
        print(f"| {label} | {work.bytes} | {work.instructions} | {' | '.join(cells)} | {share:.2f} |")


def coarse_maps(repeats: int) -> None:
    print("| image | maps | CPU time, forward + backward, ms | times faster | extra MiB |\n|---|---|---:|---:|---:|")
    for batch, size in ((8, 96), (1, 256)):
        tensors = inputs("enlarged within", size, batch)
        turns = [{form: seconds(form, tensors, True).cpu for form in COARSE} for _ in range(repeats + 1)][1:]
        for form in COARSE:
            taken = 1000 * statistics.median(turn[form] for turn in turns)
            ratio = statistics.median(turn["enlarged before"] / turn[form] for turn in turns)
            memory = measure_elsewhere(form, size, batch, True)
            print(f"| {batch}×3×{size}×{size} | {form} | {taken:.1f} | {ratio:.2f} | {memory:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256, help="side, px")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--memory-of", choices=[*FORMS, *COARSE], help=argparse.SUPPRESS)
    parser.add_argument("--backward", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory_of:
        print(extra_memory_mib(args.memory_of, args.size, args.batch, args.backward))
        return

    tensors = inputs("C++", args.size, args.batch)
    if custom_op._select_kernel(tensors[0]) is not cpu_kernel:
        sys.exit("the C++ kernel does not work here: nothing to compare")
    print(f"$ python {' '.join(sys.argv)}")
    print(
        f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs, "
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}; "
        f"{args.batch}×3×{args.size}×{args.size} float32, 8 levels; {args.repeats} turns; "
        f"built in {build_seconds():.1f} s"
    )
    compare(tensors)
    print()
    table(args, tensors)
    print()
    roofline(args)
    print()
    coarse_maps(args.repeats)


if __name__ == "__main__":
    main()
