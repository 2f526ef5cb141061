"""The fastest memory layout for convolutions on a CPU: ``python benchmarks/layout.py [--repeats 5]``.

Forward and backward (with weight gradients), and forward alone, in PyTorch's default layout, channels last, and
oneDNN's blocked layout (``runtime/mkldnn_layout.py``). Variants take turns in one process, which keeps freed memory as
the training command does; medians of the CPU time, and the speed-up over the default.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.unet import UNet
from jdrl_lightning.reblur.network import PredictionNet
from jdrl_lightning.runtime.malloc import keep_freed_memory
from jdrl_lightning.runtime.mkldnn_layout import use_mkldnn_layout

FORMS = {"plain": torch.contiguous_format, "channels last": torch.channels_last, "blocked": torch.contiguous_format}
CASES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "U-Net, width 64, 1×256×256": (UNet, (1, 3, 256, 256)),
    "U-Net, width 16, 4×96×96": (lambda: UNet(16), (4, 3, 96, 96)),
    "U-Net, width 16, 1×480×640": (lambda: UNet(16), (1, 3, 480, 640)),
    "reblurring, width 64, 1×256×256": (lambda: PredictionNet(35), (1, 6, 256, 256)),
    "reblurring, width 16, 4×96×96": (lambda: PredictionNet(35, 16), (4, 6, 96, 96)),
}


def measured(network: nn.Module, image: Tensor, form: str) -> tuple[float, float]:
    """Milliseconds forward and backward, and forward alone."""
    use_mkldnn_layout(network, form == "blocked")
    network.to(memory_format=FORMS[form])
    start = time.process_time()
    network.train()(image).sum().backward()
    between = time.process_time()
    with torch.inference_mode():
        network.eval()(image)
    return 1e3 * (between - start), 1e3 * (time.process_time() - between)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    keep_freed_memory()
    print(f"threads: {torch.get_num_threads()}, {torch.backends.cpu.get_cpu_capability()}\n")
    print(f"| network, image | pass | {' | '.join(f'{form}, ms' for form in FORMS)} |\n|---|---|{'---:|' * len(FORMS)}")
    for name, (make, shape) in CASES.items():
        image, networks = torch.rand(shape, requires_grad=True), {form: make() for form in FORMS}
        turns = [{form: measured(networks[form], image, form) for form in FORMS} for _ in range(repeats + 1)][1:]
        for index, passes in enumerate(("forward + backward", "forward")):
            times = {form: statistics.median(turn[form][index] for turn in turns) for form in FORMS}
            cells = [f"{taken:.1f} ({times['plain'] / taken:.2f})" for taken in times.values()]
            print(f"| {name} | {passes} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
