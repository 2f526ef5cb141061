"""Experiments of one's own: ``experiment/<name>.yaml`` in the working directory, which ``--config-dir .`` finds."""

from __future__ import annotations

import re
from pathlib import Path

from jdrl_lightning import __version__
from jdrl_lightning.cli.config import CONF
from jdrl_lightning.errors import UserError

__all__ = ["command_for", "copied", "new_experiment"]


def new_experiment(name: str) -> Path:
    """Where the experiment ``name`` goes; nothing is overwritten, and a shipped one would come first.

    Raises:
        UserError: it is no name, or exists here or in the package.
    """
    file = Path("experiment", f"{name}.yaml")
    if not re.fullmatch(r"[\w-]+", name):
        raise UserError(f"name={name}: letters, digits, _ and - only; give name=<name>")
    if file.exists() or Path(CONF, file).exists():
        raise UserError(f"{file}: exists{'' if file.exists() else ' in the package'}; give another name=<name>")
    return file


def command_for(file: Path) -> str:
    """What trains the experiment in ``file``."""
    return f"python -m jdrl_lightning.train --config-dir . experiment={file.stem}"


def copied(text: str, name: str, new: str) -> str:
    """The yaml ``text`` of the experiment ``name`` as that of ``new``: its own name, and so its own run folders."""
    package, _, rest = text.partition("\n")
    rest = re.sub(rf"\bexperiment={re.escape(name)}\b", f"--config-dir . experiment={new}", rest)
    rest, named = re.subn(r"^name: .*$", f"name: {new}", rest, flags=re.MULTILINE)
    rest = rest if named else f"{rest.rstrip()}\nname: {new}\n"
    return f"{package}\n# A copy of {name}, jdrl_lightning {__version__}: change whatever you like.\n{rest}"
