"""Measure restored images: ``python -m jdrl_lightning.evaluate ckpt_path=run/checkpoints/best.ckpt split=test``."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]

log = logging.getLogger(__name__)


def main() -> None:
    """``evaluate``; ``sweep=<folder>`` is ``rank=<folder>``: Hydra would look for an option of ``conf/sweep``."""
    sys.argv[1:] = [re.sub("^sweep=", "rank=", word) for word in sys.argv[1:]]
    composed()


@command("evaluate")
def composed(cfg: DictConfig) -> None:
    """Compose, then measure or compare, and report."""
    from hydra.core.hydra_config import HydraConfig

    from jdrl_lightning.cli.config import plain

    config = plain(cfg)
    output = Path(str(config["output"] or HydraConfig.get().runtime.output_dir))
    reads = [key for key in ("compare", "rank") if config[key] is not None]
    if reads:
        from jdrl_lightning.evaluation.compare import compare
        from jdrl_lightning.evaluation.rank_sweep import rank

        for key in (*reads[1:], "method", "ckpt_path", "restored", "dmenet_weights", "backbone", "data"):
            if config.get(key):
                raise UserError(f"{reads[0]}=… reads what was measured and measures nothing; leave {key} out")
        report = compare if reads == ["compare"] else rank
        print(report(config[reads[0]], output, config["overwrite"]))
    else:
        from jdrl_lightning.evaluation.run_evaluation import evaluate

        print(evaluate(config, output))
    log.info("written: %s", output)


if __name__ == "__main__":
    main()
