"""What networks cost, and the benchmarks by name: ``python -m jdrl_lightning.bench backbones=[compact,unet_small]``."""

from __future__ import annotations

import ast
import shlex
import subprocess
import sys
from pathlib import Path

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError, check_choice

__all__ = ["main"]

COLUMNS = (
    "backbone", "parameters", "multiply-adds a pixel", "restore, ms", "restore, MiB", "step, ms", "step, MiB",
)  # fmt: skip


@command("bench")
def main(cfg: DictConfig) -> None:
    """Print the table, run a benchmark, or list them."""
    if cfg.backbones is not None:
        _table([cfg.backbones] if isinstance(cfg.backbones, str) else list(cfg.backbones), cfg)
    elif cfg.script is not None:
        check_choice("script", cfg.script, scripts := _scripts())
        words = [sys.executable, str(scripts[cfg.script]), *shlex.split(cfg.arguments)]
        sys.exit(subprocess.run(words).returncode)
    else:
        for name, file in _scripts().items():
            print(f"{name:24} {(ast.get_docstring(ast.parse(file.read_text(encoding='utf-8'))) or '').splitlines()[0]}")


def _scripts() -> dict[str, Path]:
    """The benchmarks that can be run, by name."""
    from jdrl_lightning.cli.config import CONF

    files = sorted(Path(CONF).with_name("benchmarks").glob("*.py"))
    if not files:
        raise UserError("benchmarks are in the repository, not in the installed package; here give backbones=[…]")
    return {file.stem: file for file in files if '__name__ == "__main__"' in file.read_text(encoding="utf-8")}


def _table(names: list[str], cfg: DictConfig) -> None:
    import torch
    from hydra import compose
    from rich.console import Console

    from jdrl_lightning import build
    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.diagnosis.costs import counted, timed
    from jdrl_lightning.metrics.report import markdown_table

    for key in ("size", "repeats"):
        if not isinstance(cfg[key], int) or cfg[key] < 1:
            raise UserError(f"{key}={cfg[key]}: must be a whole number of at least 1")
    device, rows = build.device(cfg.device), []
    for name in names:
        settings = plain(compose("train", [f"backbone={name}", "run_dir=."]).backbone)
        settings.pop("weights", None)
        with Console(stderr=True).status(f"measuring {name}"):
            cost, took = counted(settings, cfg.size), timed(settings, cfg.size, device, cfg.repeats)
        sizes = (f"{cost.parameters:,}", f"{cost.multiply_adds:,.0f}")
        times = [f"{1000 * seconds:,.0f}" for seconds in took]
        memory = [f"{mib:,.0f}" for mib in (cost.restore_mib, cost.step_mib)]
        cells = (f"`{name}`", *sizes, times[0], memory[0], times[1], memory[1])
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"One picture of {cfg.size}×{cfg.size} px, float32, random weights; {where}; torch {torch.__version__}\n")
    print(markdown_table(rows), end="")


if __name__ == "__main__":
    main()
