"""Memory layouts of feature maps on CPUs: ``python benchmarks/layout.py [--repeats 5]``.

First table: a network's pass forward and backward (with the gradients of its weights), and forward alone, in PyTorch's
default layout, in channels last, and in oneDNN's own (``runtime/mkldnn_layout.py``). Second table: whole training
steps, forward to optimiser, in the default layout and with the networks in oneDNN's. Variants take turns in one
process, which keeps freed memory as the training command does. User CPU time of all threads: medians, how many times
faster than the default; for steps also the range of that ratio over the turns.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from resource import RUSAGE_SELF, getrusage

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.reblur.network import PredictionNet
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.runtime.mkldnn_layout import use_mkldnn_layout
from step import Step

LAYOUTS = {"default": torch.contiguous_format, "channels last": torch.channels_last, "oneDNN": torch.contiguous_format}
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "U-Net, width 64, 1×256×256": (UNet, (1, 3, 256, 256)),
    "U-Net, width 16, 4×96×96": (lambda: UNet(16), (4, 3, 96, 96)),
    "U-Net, width 16, 1×480×640": (lambda: UNet(16), (1, 3, 480, 640)),
    "reblurring, width 64, 1×256×256": (lambda: PredictionNet(35), (1, 6, 256, 256)),
    "reblurring, width 16, 4×96×96": (lambda: PredictionNet(35, 16), (4, 6, 96, 96)),
}
SMALL = ["backbone=unet_small", "data.crop=96", "data.batch_size=4"]
STEPS: dict[str, tuple[str, list[str]]] = {
    "jdrl, unet, 1×256×256": ("jdrl", []),
    "charbonnier, unet, 1×256×256": ("plain", []),
    "jdrl, unet_small, 4×96×96": ("jdrl", SMALL),
    "jdrl_quick, unet_small, 4×96×96": ("jdrl", [*SMALL, "objective=jdrl_quick"]),
    "charbonnier, unet_small, 4×96×96": ("plain", SMALL),
}


def user_ms() -> float:
    """User CPU time of this process, ms."""
    return 1e3 * getrusage(RUSAGE_SELF).ru_utime


def time_passes(network: nn.Module, image: Tensor, layout: str) -> tuple[float, float]:
    """Milliseconds forward and backward, and forward alone."""
    use_mkldnn_layout(network, layout == "oneDNN")
    network.to(memory_format=LAYOUTS[layout])
    start = user_ms()
    network.train()(image).sum().backward()
    between = user_ms()
    with torch.inference_mode():
        network.eval()(image)
    return between - start, user_ms() - between


def time_step(step: Step, layout: str) -> float:
    """Milliseconds of a training step."""
    use_mkldnn_layout(step.module, layout == "oneDNN")
    start = user_ms()
    step()
    return user_ms() - start


def print_networks(repeats: int) -> None:
    names = " | ".join(f"{layout}, ms" for layout in LAYOUTS)
    print(f"| network, image | pass | {names} |\n|---|---|{'---:|' * len(LAYOUTS)}")
    for name, (make, shape) in NETWORKS.items():
        image, networks = torch.rand(shape, requires_grad=True), {layout: make() for layout in LAYOUTS}
        turns = [{key: time_passes(networks[key], image, key) for key in LAYOUTS} for _ in range(repeats + 1)][1:]
        for index, passes in enumerate(("forward + backward", "forward")):
            times = {layout: statistics.median(turn[layout][index] for turn in turns) for layout in LAYOUTS}
            cells = [f"{taken:.1f} ({times['default'] / taken:.2f})" for taken in times.values()]
            print(f"| {name} | {passes} | {' | '.join(cells)} |", flush=True)


def print_steps(repeats: int) -> None:
    print("| training step | default, ms | oneDNN, ms | times faster | range |\n|---|---:|---:|---:|---:|")
    for name, (form, overrides) in STEPS.items():
        step = Step(form, overrides)
        turns = [{layout: time_step(step, layout) for layout in ("default", "oneDNN")} for _ in range(repeats + 1)][1:]
        ratios = [turn["default"] / turn["oneDNN"] for turn in turns]
        times = [f"{statistics.median(turn[layout] for turn in turns):.0f}" for layout in ("default", "oneDNN")]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"| {name} | {' | '.join(times)} | {statistics.median(ratios):.2f} | {spread} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    keep_freed_memory()
    print(f"threads: {torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}\n")
    print_networks(repeats)
    print()
    print_steps(repeats)


if __name__ == "__main__":
    main()
