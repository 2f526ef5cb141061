"""Time saved in a CPU step by keeping freed memory: ``python benchmarks/allocation.py``.

The demonstration's U-Net, pixel-wise training, 4×3×96×96. Each variant runs in its own process, because glibc cannot
undo the setting.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import torch

from jdrl_lightning import backbones
from jdrl_lightning.losses.charbonnier import charbonnier_loss
from jdrl_lightning.runtime.malloc import keep_freed_memory

STEPS = 20


def measured() -> str:
    """Milliseconds of user and system time, and page faults, of a step."""
    torch.manual_seed(0)
    network = backbones.create("unet", width=16, global_residual=True, dropout=0.0)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    blurry, sharp = torch.rand(2, 4, 3, 96, 96)
    before = None
    for number in range(3 + STEPS):
        if number == 3:
            before = resource.getrusage(resource.RUSAGE_SELF)
        optimizer.zero_grad()
        charbonnier_loss(network(blurry).images[0], sharp).backward()
        optimizer.step()
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert before is not None
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    faults = after.ru_minflt - before.ru_minflt
    return f"{user / STEPS * 1e3:.0f} | {system / STEPS * 1e3:.1f} | {faults / STEPS:.0f}"


def main() -> None:
    """Print the table."""
    if sys.argv[1:]:
        if sys.argv[1] == "kept":
            keep_freed_memory()
        print(measured())
        return
    print("| freed memory | user, ms | system, ms | page faults |\n|---|---:|---:|---:|")
    for form in ("given back", "kept"):
        cells = subprocess.run([sys.executable, __file__, form], check=True, capture_output=True, text=True).stdout
        print(f"| {form} | {cells.strip()} |")


if __name__ == "__main__":
    main()
