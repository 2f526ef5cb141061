"""Which part of the package may import which.

``FLOORS`` is the layout of docs/architecture.md: a unit (a folder, or a file next to the folders) imports only units
of floors below its own, and itself. Imports inside functions count.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
PACKAGE = SOURCE / "jdrl_lightning"

FLOORS = (
    {"__init__", "errors"},
    {"registry", "rates", "types", "runtime"},
    {"io"},
    {"flow", "native"},
    {"reblur", "losses", "metrics", "backbones", "data"},
    {"objectives", "classical", "preparation", "inference"},
    {"module", "testing", "cli"},
    {"build", "config", "sweeps"},
    {"callbacks", "diagnosis", "evaluation"},
    {"training"},
    {"demo", "train", "evaluate", "predict", "export", "doctor", "prepare", "start", "copy", "bench"},
    {"app"},
)

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
from jdrl_lightning.inference import final_output
final_output(backbones.create("unet", width=4))
for registry in (flow._registry, backbones._registry, classical._registry, objectives._registry):
    for name in registry.names():
        registry.load(name)
backbones.create("unet", width=4), flow.create("gauss_newton"), classical.create("jnb")
for name in objectives.names():
    with_flow = name.startswith(("jdrl", "gcm", "mimicked"))
    settings = {"flow": {"name": "none"}, "reblur": {"width": 4}} if with_flow else {}
    objectives.create(name, **settings)
print("ok")
"""

LIGHT = """
import sys
import jdrl_lightning.train, jdrl_lightning.evaluate, jdrl_lightning.predict, jdrl_lightning.doctor
import jdrl_lightning.start, jdrl_lightning.copy, jdrl_lightning.bench
print(sorted({"torch", "lightning", "torchvision", "wandb", "kornia"} & set(sys.modules)))
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120).stdout


def test_the_core_needs_neither_lightning_nor_hydra() -> None:
    assert run(BLOCKED).strip() == "ok"


def test_the_commands_import_nothing_heavy_before_they_run() -> None:
    assert run(LIGHT).strip() == "[]"


def imports() -> dict[str, set[str]]:
    """For each module of the package, the modules of the package that its file imports, anywhere in it."""
    files = {".".join(path.relative_to(SOURCE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert node.level == 0, f"{name}: relative import"
                for alias in node.names:  # a submodule, or a name out of the module
                    submodule = f"{node.module}.{alias.name}"
                    imported.add(submodule if submodule in files else node.module)
        found[name] = (imported & files.keys()) - {name}
    return found


def unit(module: str) -> str:
    """The folder of a module, or its own name if it lies next to the folders."""
    return module.split(".")[1] if "." in module else "__init__"


def test_no_circle_of_files() -> None:
    TopologicalSorter(imports()).prepare()  # raises CycleError, which names the circle


def test_units_import_downwards_only() -> None:
    floor = {name: number for number, units in enumerate(FLOORS) for name in units}
    found = imports()
    assert {unit(module) for module in found} == floor.keys()
    upwards = [
        f"{module} imports {target}"
        for module, targets in found.items()
        for target in targets
        if unit(module) != unit(target) and floor[unit(target)] >= floor[unit(module)]
    ]
    assert not upwards


def test_restoring_starts_without_what_only_trainings_need() -> None:
    """Lightning and torch's compiler take three of five seconds."""
    script = """
import sys
sys.modules["lightning"] = None
import jdrl_lightning
jdrl_lightning.load()
assert "torch._dynamo" not in sys.modules and "torchmetrics" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
