"""What is installed, and what the data need: ``python -m jdrl_lightning.doctor data=folder data.root=my_pairs``."""

from __future__ import annotations

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]


@command("doctor")
def main(cfg: DictConfig) -> None:
    """List a group's options, or check everything and report problems."""
    from rich.console import Console

    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.diagnosis import options
    from jdrl_lightning.diagnosis.tables import show_environment, show_pairs, show_parts, show_plugins, table

    console = Console()
    if cfg.list is not None:
        group = options.group_of(cfg.list)
        console.print(table(cfg.list, (group, "what it is"), options.descriptions(group).items()))
        return
    config = plain(cfg)
    wrong = []
    if config.get("data"):
        try:
            show_pairs(console, config)
        except UserError as error:
            wrong.append(str(error))
    show_environment(console)
    wrong += show_plugins(console) + show_parts(console, config)
    if wrong:
        raise UserError("; ".join(wrong))


if __name__ == "__main__":
    main()
