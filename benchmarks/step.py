"""Time and memory of a training step: JDRL as published, ours, and pixel-wise training of the same network.

    python benchmarks/step.py [override …] [--repeats 5] [--device cpu] [--epoch 20] [--forms published jdrl plain]

Overrides are those of the training command (``backbone=mprnet data.crop=128``) and follow ``backbone=unet data.crop=256
data.batch_size=1``. ``published`` reblurs with per-pixel kernels (``per_pixel_reblur.py``) and has the U-Net layer by
layer (``published_unet.py``), default layouts and unfused Adam, all in float32; ``jdrl`` is ours; ``plain`` is
``objective=charbonnier``. On request, by ``--forms``: ``picture``, ours with the blurry image's flow measured
beforehand, ``compiled``, ours with ``compile=true``, whose networks have no shares, and ``published_kept``,
``published`` in a process that keeps freed memory. On CPUs ours does, as the training command does; ``published``
returns it, as PyTorch does by default.

Since that is a setting of the process, each variant has its own. They take turns, and times are medians; CPU time
covers all threads. The first step's includes compilers, if ``TORCHINDUCTOR_FORCE_DISABLE_CACHES=1``. Memory: peak
resident set (on CUDA, peak allocated) over two steps, minus what was resident before the module was built. The share of
each part is measured by hooks at the start and end of a network's pass. On CPUs also the multiply-adds of convolutions
and matrix products, and the share of the time they would take at the rate of a large matrix product or convolution,
measured here. On CUDA, a step of ours also runs under ``torch.cuda.set_sync_debug_mode("error")``, which fails if the
host waits for the device.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from jdrl_lightning import DeblurringModule, build
from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.data.precomputed_flow import unmoved
from jdrl_lightning.demo.comparison import compose_training
from jdrl_lightning.module import channels_last
from jdrl_lightning.reblur import network as reblurring
from jdrl_lightning.runtime.counting import multiply_adds
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.runtime.mkldnn_layout import use_mkldnn_layout
from jdrl_lightning.types import Pair
from per_pixel_reblur import per_pixel_reblur
from published_unet import published_forward
from resident import resident_mib
from roofline import ceilings

PUBLISHED = [
    "objective.reblur.stride=1", "objective.reblur.width=64", "objective.flow_of=crop",
    "optim.optimizer.fused=false", "activation_checkpointing=false", "compile=false", "trainer.precision=32-true",
]  # fmt: skip
FORMS = {
    "published": PUBLISHED,
    "jdrl": [],
    "plain": ["objective=charbonnier"],
    "picture": ["objective.flow_of=picture"],
    "compiled": ["compile=true"],
    "published_kept": PUBLISHED,
}
DEFAULT_FORMS = ("published", "jdrl", "plain")
OVERRIDES = ("backbone=unet", "data.crop=256", "data.batch_size=1")


class Step:
    """One form's training step, forward to optimiser, on made-up pairs of ``data.crop`` pixels."""

    def __init__(self, form: str, overrides: list[str], device: str = "cpu", epoch: int = 20) -> None:
        if form == "plain":  # has another objective
            overrides = [each for each in overrides if not each.startswith("objective.")]
        config = compose_training(Path(), [*OVERRIDES, *overrides, *FORMS[form]])
        torch.manual_seed(0)
        self.form, self.device = form, torch.device(device)
        self.autocast = str(config["trainer"]["precision"]).startswith("bf16")
        self.module = _alone(build.module(config), epoch)
        if self.device.type == "cuda":
            channels_last(self.module)
            self.module.to(self.device)
        use_mkldnn_layout(self.module, not form.startswith("published"))
        self.optimizer = self.module.configure_optimizers()
        batch, crop = int(config["data"]["batch_size"]), int(config["data"]["crop"])
        scene = avg_pool2d(torch.rand(batch, 3, crop + 6, crop + 6), 3, 1)
        sharp, blurry = scene[..., 2:-2, 3:-1], avg_pool2d(scene, 5, 1)
        pair = Pair(blurry.to(self.device), sharp.contiguous().to(self.device), ["a"] * batch, {})
        self.pair = unmoved(pair) if getattr(self.module.objective, "picture_flow", None) else pair

    def __call__(self) -> None:
        self.optimizer.zero_grad()
        reblurs, unet = reblurring.reblur, UNet.forward
        if self.form.startswith("published"):
            reblurring.reblur = lambda *given, **_: per_pixel_reblur(*given[:4])  # image, seeds, weights, levels
            UNet.forward = published_forward
        try:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.autocast):
                loss = self.module.training_step(self.pair, 0)["loss"]
            loss.backward()
        finally:
            reblurring.reblur, UNet.forward = reblurs, unet
        self.optimizer.step()


def _alone(module: DeblurringModule, epoch: int) -> DeblurringModule:
    """``module`` without a trainer: it logs nothing, and its epoch is given."""
    members = {"current_epoch": epoch, "log": _nothing, "log_dict": _nothing}
    module.__class__ = type("Alone", (DeblurringModule,), members)
    return module


def _nothing(*_: Any, **__: Any) -> None:
    pass


class Ranges:
    """Seconds of a step's parts: both networks' passes by hooks, the rest around calls."""

    def __init__(self, step: Step, clock: Callable[[], float]) -> None:
        self.step, self.clock, self.seconds = step, clock, defaultdict[str, float](float)
        module = step.module
        self.opened: dict[str, float] = {}
        if hasattr(module.objective, "flows"):
            module.objective.flows = self._timed(module.objective.flows, "flow")
        step.optimizer.step = self._timed(step.optimizer.step, "optimiser")
        if step.form == "compiled":  # hooks would be compiled too
            return
        self._watch(module.backbone, "backbone", ends=False)
        reblur = getattr(module.objective, "reblur", None)
        for network in reblur.children() if reblur is not None else ():
            self._watch(network, "reblurring networks", ends=True)

    def __call__(self) -> dict[str, float]:
        """Seconds by range in one step."""
        self.seconds.clear()
        start = self.clock()
        backward = Tensor.backward
        Tensor.backward = lambda loss, *given, **named: (backward(loss, *given, **named), self._close("backbone"))[0]
        try:
            self.step()
        finally:
            Tensor.backward = backward
        total = self.clock() - start
        self.seconds["warp, masks, reblurring operator, losses"] = total - sum(self.seconds.values())
        return {**self.seconds, "step": total}

    def _watch(self, network: nn.Module, name: str, ends: bool) -> None:
        def before(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            self.opened[name] = self.clock()
            if ends and given[0].requires_grad:
                given[0].register_hook(lambda _: self._close(name))

        def after(_: nn.Module, __: Any, output: Any) -> None:
            self._close(name)
            for image in output.images if hasattr(output, "images") else (output,):
                image.register_hook(lambda _: self._open(name))

        network.register_forward_pre_hook(before)
        network.register_forward_hook(after)

    def _open(self, name: str) -> None:
        self.opened.setdefault(name, self.clock())

    def _close(self, name: str) -> None:
        if name in self.opened:
            self.seconds[name] += self.clock() - self.opened.pop(name)

    def _timed(self, run: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            start = self.clock()
            result = run(*given, **named)
            self.seconds[name] += self.clock() - start
            return result

        return call


class Once(NamedTuple):
    """What is measured once: peak memory, MiB; processor seconds of the first step; multiply-adds of one."""

    memory: float
    first: float
    needed: float


def clock_of(device: str) -> Callable[[], float]:
    """Processor time, or on CUDA the time at which the device has done everything."""
    if device == "cpu":
        return time.process_time

    def waited() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return waited


def serve(pipe: Connection, form: str, overrides: list[str], device: str, epoch: int) -> None:
    """A form's process: sends what :class:`Once` holds, then a step's ranges for each request."""
    if form != "published":
        keep_freed_memory()
    Step("plain", ["backbone=unet_small", "data.crop=32"], device)()  # what is loaded on first use
    Step("jdrl", ["backbone=unet_small", "data.crop=32"], device)()
    if device == "cpu":
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
        before = resident_mib("VmRSS")
    else:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated() / 2**20
    step = Step(form, overrides, device, epoch)
    started = sum(os.times()[:4])  # with compilers
    step()
    first = sum(os.times()[:4]) - started
    step()
    peak = resident_mib("VmHWM") if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20
    if device != "cpu" and form == "jdrl":
        check_no_wait(step)
    with torch.compiler.set_stance("force_eager"):  # compiled code cannot be counted
        pipe.send(Once(peak - before, first, multiply_adds(step)))
    ranges = Ranges(step, clock_of(device))
    while pipe.recv():
        pipe.send(ranges())


def check_no_wait(step: Step) -> None:
    """A step that fails if the host waits for the device (CUDA)."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    print("the host does not wait for the device in a step")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--epoch", type=int, default=20, help="below objective.warmup_epochs: the warm-up stage")
    parser.add_argument("--forms", nargs="+", default=DEFAULT_FORMS, choices=list(FORMS))
    given, overrides = parser.parse_known_args()
    cpu = given.device == "cpu"
    print(f"torch {torch.__version__}, {platform.machine()}, threads: {torch.get_num_threads()}, {given.device}\n")
    rate = ceilings().multiply_adds if cpu else None
    pipes: dict[str, Connection] = {}
    once: dict[str, Once] = {}
    context = get_context("spawn")
    for form in given.forms:
        pipes[form], theirs = context.Pipe()
        context.Process(target=serve, args=(theirs, form, overrides, given.device, given.epoch), daemon=True).start()
        theirs.close()  # so that the end of that process ends the reading
        once[form] = pipes[form].recv()
    turns = [{form: _turn(pipe) for form, pipe in pipes.items()} for _ in range(given.repeats)]
    for pipe in pipes.values():
        pipe.send(False)
    first = given.forms[0]
    clock = "processor time" if cpu else "time"
    columns = f"form | {clock}, ms | times less | the first, s | memory, MiB | times less | multiply-adds, 10⁹"
    print(f"| {columns} | alone, % of the time |\n|---|---:|---:|---:|---:|---:|---:|---:|")
    for form in given.forms:
        taken = statistics.median(turn[form]["step"] for turn in turns)
        ratio = statistics.median(turn[first]["step"] / turn[form]["step"] for turn in turns)
        memory, start, needed = once[form]
        less = f"{ratio:.2f} | {start:.1f} | {memory:.0f} | {once[first].memory / memory:.2f}"
        alone = f"{100 * needed / rate / taken:.0f}" if rate else "–"
        print(f"| {form} | {1e3 * taken:.0f} | {less} | {needed / 1e9:.0f} | {alone} |")
    if rate:
        print(f"\na large matrix product or convolution does {rate / 1e9:.1f}·10⁹ multiply-adds a processor second")
    print("\n| range | share of the step, % (" + ", ".join(given.forms) + ") |\n|---|---|")
    for name in dict.fromkeys(name for form in given.forms for name in turns[0][form] if name != "step"):
        shares = [[turn[form].get(name, 0.0) / turn[form]["step"] for turn in turns] for form in given.forms]
        print(f"| {name} | {', '.join(f'{100 * statistics.median(share):.1f}' for share in shares)} |")


def _turn(pipe: Connection) -> dict[str, float]:
    pipe.send(True)
    return pipe.recv()


if __name__ == "__main__":
    main()
