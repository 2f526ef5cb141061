"""Prepare data for training: ``python -m jdrl_lightning.prepare <patches|pack|align|stack> … output=…``."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from jdrl_lightning.cli.command import command
from jdrl_lightning.errors import UserError, check_choice

__all__ = ["main"]

log = logging.getLogger(__name__)

HELP = """prepare: make pairs of images ready for training; --help after one of the four words lists its settings.
  python -m jdrl_lightning.prepare patches data.root=my_pairs output=my_patches  # small images, without the blurriest
  python -m jdrl_lightning.prepare pack    data.root=my_pairs output=my_pack     # few large files, which load faster
  python -m jdrl_lightning.prepare align   data.root=my_pairs output=my_aligned  # each pair registered, and a report
  python -m jdrl_lightning.prepare stack   input=my_stacks output=my_pairs     # focus stacks, fused, and a report"""


@command("prepare_patches")
def patches(cfg: DictConfig) -> None:
    """Cut the pairs of each split into patches."""
    from jdrl_lightning.data.open_pairs import progress
    from jdrl_lightning.preparation.patches import Rule, checked, training_rule, write_patches

    train = training_rule(cfg.preset, cfg.patch, cfg.overlap, cfg.discard)
    rest = checked(Rule(cfg.patch, cfg.val.overlap, cfg.val.discard))
    for split, pairs, folder in splits(cfg, ("train", "val")):
        with progress(f"cutting the {split} pairs") as show:
            count = write_patches(pairs, folder, train if split == "train" else rest, cfg.overwrite, show)
        log.info("%s: %d patches of %d pairs: %s", split, count, len(pairs), folder)


@command("prepare_pack")
def pack(cfg: DictConfig) -> None:
    """Write the pairs of each split into few large files."""
    from jdrl_lightning.data.open_pairs import progress
    from jdrl_lightning.data.storage.litdata_pairs import stream
    from jdrl_lightning.data.storage.pack import pack as write_pack

    writers = {"packed": (write_pack, cfg.shard_mib), "litdata": (stream, cfg.chunk_mib)}
    check_choice("store", cfg.store, writers)
    write, size = writers[cfg.store]
    if not isinstance(size, int) or size < 1:
        raise UserError(f"a shard or chunk of {size} MiB: shard_mib and chunk_mib must be whole numbers of at least 1")
    for split, pairs, folder in splits(cfg, ("train", "val", "test")):
        with progress(f"packing the {split} pairs") as show:
            write(pairs, folder, size * 2**20, cfg.overwrite, show)
        log.info("%s: %d pairs packed: %s", split, len(pairs), folder)
    log.info("train on them with data.store=%s data.root=%s", cfg.store, cfg.output)


@command("prepare_align")
def align(cfg: DictConfig) -> None:
    """Register the pairs of each split and report."""
    from jdrl_lightning import build
    from jdrl_lightning.data.open_pairs import progress
    from jdrl_lightning.preparation.align import align_files
    from jdrl_lightning.preparation.align_report import totals, write_report

    report, device, found = Path(cfg.output) / "report.md", build.device(cfg.device), {}
    if report.exists() and not cfg.overwrite:
        raise UserError(f"{report}: exists; give another output=… or overwrite=true")
    for split, pairs, folder in splits(cfg, ("train", "val", "test")):
        if not hasattr(pairs, "places"):
            raise UserError(
                "align works on picture files; give data=folder data.store=files data.register=none, or leave out "
                "data.bit_depth"
            )
        with progress(f"registering the {split} pairs") as show:
            found[split] = align_files(pairs.places, folder, device, cfg.overwrite, show)
        log.info("%s: %s", split, totals(found[split]))
    write_report(Path(cfg.output), found)
    log.info("%s", report)


@command("prepare_stack")
def stack(cfg: DictConfig) -> None:
    """Make pairs of focus stacks and report."""
    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.data.open_pairs import progress
    from jdrl_lightning.preparation.stack_files import prepare_stacks

    with progress("fusing the frames") as show:
        log.info("%s", prepare_stacks(**plain(cfg), show=show))


def splits(cfg: DictConfig, offered: tuple[str, ...]) -> list[tuple[str, Any, Path]]:
    """Each requested split, by default every one there is: its name, its pairs, and its output folder."""
    from jdrl_lightning import build
    from jdrl_lightning.cli.config import plain
    from jdrl_lightning.preparation.write_pairs import asked_splits

    config = plain(cfg)
    data, output = config["data"], Path(config["output"])
    asked = asked_splits(config["splits"], data, output, offered)
    sets = build.datamodule(config | {"data": data | {"crop": 1}})  # nothing is cropped, so no image is too small
    return [(split, sets.pairs(split), output / split) for split in asked]


def main() -> None:
    """Run the command named by the first word with the settings after it."""
    commands = {"patches": patches, "pack": pack, "align": align, "stack": stack}
    word = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if word in ("--help", "-h"):
        print(HELP)
    elif word in commands:
        del sys.argv[1]
        commands[word]()
    else:
        print(f"error: {word}: is not one of {', '.join(commands)}; see --help", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
