"""Train a deblurring network: ``python -m jdrl_lightning.train backbone=unet data=folder data.root=my_pairs``."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]


@command("train")
def main(cfg: DictConfig) -> float | None:
    """Compose and train; returns the value of ``monitor`` for sweepers."""
    from hydra.core.hydra_config import HydraConfig

    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.sweeps.table import recorded
    from jdrl_lightning.training import launcher

    with recorded(cfg.monitor) as metrics:
        folder = Path(HydraConfig.get().runtime.output_dir)
        if Path(cfg.run_dir) != folder:
            raise UserError(f"run_dir={cfg.run_dir}: set hydra.run.dir={cfg.run_dir} instead; run_dir follows it")
        metrics |= launcher.train(plain(cfg), folder)
    return metrics.get(cfg.monitor)


if __name__ == "__main__":
    main()
