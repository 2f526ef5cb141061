"""Train a deblurring network: ``python -m jdrl_lightning.train backbone=unet data=folder data.root=my_pairs``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]

log = logging.getLogger(__name__)


WRITES_SETTINGS = {"init": "jdrl_lightning.start", "copy": "jdrl_lightning.copy"}


def main() -> None:
    """``train``; ``train init`` and ``train copy`` are the commands that write settings to train with."""
    if sys.argv[1:2] and (module := WRITES_SETTINGS.get(sys.argv[1])):
        del sys.argv[1]
        import_module(module).main()
    else:
        composed()


@command("train")
def composed(cfg: DictConfig) -> float | None:
    """Compose and train; returns the value of ``monitor`` for sweepers."""
    from hydra.core.hydra_config import HydraConfig

    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.sweeps.table import recorded
    from jdrl_lightning.training import launcher

    with recorded(cfg.monitor) as metrics:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if Path(cfg.run_dir) != folder:
            raise UserError(f"run_dir={cfg.run_dir}: set hydra.run.dir={cfg.run_dir} instead; run_dir follows it")
        log.info("%s", _announced(HydraConfig.get().runtime.choices, folder))
        metrics |= launcher.train(plain(cfg), folder)
    return metrics.get(cfg.monitor)


def _announced(choices: Mapping[str, str | None], folder: Path) -> str:
    """The first line, before torch is loaded, which takes seconds."""
    chosen = " ".join(f"{group}={choices.get(group)}" for group in ("backbone", "objective", "data", "optim"))
    shown = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    return f"train {chosen}, into {shown}; loading PyTorch"


if __name__ == "__main__":
    main()
