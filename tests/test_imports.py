"""The walls of the house: what may import what."""

from __future__ import annotations

import subprocess
import sys

BLOCKED = """
import sys
for name in ("lightning", "pytorch_lightning", "hydra", "omegaconf"):
    sys.modules[name] = None
import jdrl_lightning
from jdrl_lightning import backbones, classical, flow, metrics, objectives
import jdrl_lightning.flow.masks, jdrl_lightning.flow.affine, jdrl_lightning.losses.edge, jdrl_lightning.reblur.network
import jdrl_lightning.metrics.report, jdrl_lightning.inference.tiles, jdrl_lightning.classical.learn_jnb
metrics.psnr, metrics.placement_error, metrics.lpips, backbones.load_weights
import jdrl_lightning.testing
for registry in (flow._registry, backbones._registry, classical._registry, objectives._registry):
    for name in registry.names():
        registry.load(name)
backbones.create("unet", width=4), flow.create("gauss_newton"), classical.create("jnb")
for name in objectives.names():
    settings = {"flow": {"name": "none"}, "reblur": {"width": 4}} if name.startswith("jdrl") else {}
    objectives.create(name, **settings)
print("ok")
"""

LIGHT = """
import sys
import jdrl_lightning.train, jdrl_lightning.evaluate, jdrl_lightning.predict, jdrl_lightning.doctor
print(sorted({"torch", "lightning", "torchvision", "wandb", "kornia"} & set(sys.modules)))
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_idea_wing_needs_neither_lightning_nor_hydra() -> None:
    assert run(BLOCKED).strip() == "ok"


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    assert run(LIGHT).strip() == "[]"
