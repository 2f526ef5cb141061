"""Copy a recipe to a file of your own: ``python -m jdrl_lightning.copy experiment=finetune name=mine``."""

from __future__ import annotations

import re
import sys

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError, check_choice

__all__ = ["main"]


def main() -> None:
    """``copy``; ``experiment=<name>`` is ``recipe=<name>``: Hydra would apply the recipe to this command."""
    sys.argv[1:] = [re.sub("^experiment=", "recipe=", word) for word in sys.argv[1:]]
    composed()


@command("copy")
def composed(cfg: DictConfig) -> None:
    """Copy the file, and print the command that trains it."""
    from jdrl_lightning.cli.own_experiments import command_for, copied, new_experiment
    from jdrl_lightning.diagnosis.options import descriptions, option_file
    from jdrl_lightning.io.atomic import atomic_write

    if cfg.recipe is None or cfg.name is None:
        raise UserError("give experiment=<a recipe> name=<of the copy>; see --help")
    check_choice("experiment", cfg.recipe, descriptions("experiment"))
    file = new_experiment(str(cfg.name))
    with atomic_write(file, "w") as stream:
        stream.write(copied(option_file("experiment", cfg.recipe).read_text(encoding="utf-8"), cfg.recipe, cfg.name))
    print(f"written: {file}; train with\n{command_for(file)}")


if __name__ == "__main__":
    main()
