"""Memory and arithmetic of a training step of any size, counted without computing it.

    python benchmarks/counted.py [override …] [--plain charbonnier] [--forms published jdrl plain]

Overrides are those of the training command and follow ``backbone=unet data.crop=256 data.batch_size=1``. A step runs on
tensors with shapes but no values (``FakeTensorMode``), so networks and sizes fit that this machine could not train.
Memory: peak bytes of live tensors over two steps, including weights, gradients and optimiser state, but neither
workspaces inside an operator (of a convolution, say) nor allocator overhead. Arithmetic: multiply-adds of convolutions
and matrix products. ``published``: float32, per-pixel kernels, the U-Net layer by layer.
"""

from __future__ import annotations

import argparse

from torch._subclasses.fake_tensor import FakeTensorMode

from jdrl_lightning.runtime.counting import Alive, multiply_adds
from step import DEFAULT_FORMS, FORMS, Step

__all__ = ["counted"]


def counted(form: str, overrides: list[str]) -> tuple[float, float]:
    """(MiB, multiply-adds in units of 10⁹) of a step in the joint stage; within one ``FakeTensorMode`` for all."""
    with Alive() as alive:
        step = Step(form, overrides)
        step(), step()
    return alive.peak / 2**20, multiply_adds(step) / 1e9  # outside: counting these keeps tensors alive


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plain", default="charbonnier", help="objective of the plain training")
    parser.add_argument("--forms", nargs="+", default=DEFAULT_FORMS, choices=list(FORMS))
    given, overrides = parser.parse_known_args()
    FORMS["plain"] = [f"objective={given.plain}"]
    with FakeTensorMode():
        found = {form: counted(form, overrides) for form in dict.fromkeys([*given.forms, "plain"])}
    print("| form | memory, MiB | over plain | multiply-adds, 10⁹ | over plain |\n|---|---:|---:|---:|---:|")
    for form, (memory, operations) in found.items():
        more, times = memory / found["plain"][0] - 1, operations / found["plain"][1]
        print(f"| {form} | {memory:.0f} | {100 * more:+.1f} % | {operations:.0f} | {times:.2f} |", flush=True)


if __name__ == "__main__":
    main()
