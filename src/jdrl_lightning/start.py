"""Settings to start from for a folder: ``python -m jdrl_lightning.start input=my_pairs``."""

from __future__ import annotations

import re
from pathlib import Path

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError

__all__ = ["main"]


@command("start")
def main(cfg: DictConfig) -> None:
    """Recognise, measure, propose, write the experiment, and print the command that trains it."""
    from rich.console import Console

    from jdrl_lightning import build
    from jdrl_lightning.cli.own_experiments import command_for, new_experiment
    from jdrl_lightning.diagnosis import proposal
    from jdrl_lightning.diagnosis.examined import composed, examined, needed_mib, verdict
    from jdrl_lightning.diagnosis.layout import recognise
    from jdrl_lightning.diagnosis.memory import available_mib
    from jdrl_lightning.io.atomic import atomic_write

    if cfg.input is None:
        raise UserError("give input=<folder of pairs or photos>; see --help")
    console, folder = Console(soft_wrap=True, highlight=False, markup=False), Path(cfg.input)
    layout = recognise(folder)
    console.print(f"{folder}: {layout.what}")
    if layout.data is None:
        console.print(layout.instead)
        return
    file = new_experiment(cfg.name or re.sub(r"\W+", "_", folder.absolute().name).strip("_").lower())
    device = build.device(cfg.device)
    pairs, smallest_px = examined(layout.data, cfg.seed)
    decides = verdict(console, layout.data, smallest_px, cfg.pairs, cfg.device)
    given = proposal.proposed(layout.data, decides, pairs, smallest_px, device.type == "cuda")
    needed, free = needed_mib(given), available_mib(device)
    while free is not None and needed * proposal.HEADROOM > free and (less := proposal.smaller(given)):
        given, needed = less, needed_mib(less)
    if cfg.tune:
        from jdrl_lightning.training.tuning import tuned

        console.print("trying learning rates" + (" and batch sizes" if device.type == "cuda" else ""))
        config = composed(given.choices, given.values)
        config["trainer"]["accelerator"] = device.type
        given = proposal.with_found(given, *tuned(config))
    train = command_for(file)
    costs = f"{given.steps(pairs):,} steps; a step needs about {needed * proposal.HEADROOM:,.0f} MiB" + (
        f" of {free:,.0f} that are free" if free is not None else ""
    )
    with atomic_write(file, "w") as stream:
        stream.write(proposal.written(given, file.stem, [*given.reasons, costs, train]))
    for line in (*given.reasons, costs, f"written: {file}; train with", train):
        console.print(line)


if __name__ == "__main__":
    main()
