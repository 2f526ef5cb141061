"""The commands on the pages compose: no option or setting that they name is missing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli import config as conf

ROOT = Path(__file__).parents[1]
STARTED = r"^ *(?:srun |\.venv/bin/)?(?:python -m jdrl_lightning\.|jdrl-)([a-z]+ .*)$"  # name and arguments
NOT_COMPOSED = {"start", "copy", "bench", "app", "demo"}  # of a configuration of their own, with tests of their own


def commands(page: Path) -> list[list[str]]:
    """Names and arguments; without comments, and without what the reader fills in."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    lines = (re.split(" #| &&", line)[0] for line in re.findall(STARTED, text, re.MULTILINE))
    return [[word for word in shlex.split(line) if not re.search("[<>…$]|^-m$", word)] for line in lines]


def first_job(word: str) -> str:
    """Of a sweep's values the first."""
    return word if re.search(r"[\[{]", word) else word.split(",")[0]


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if commands(page)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_compose(page: Path) -> None:
    conf.register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
        for name, *words in commands(page):
            if name in NOT_COMPOSED or "--config-dir" in words:  # the latter with a file of the reader's
                continue
            chosen = f"prepare_{words.pop(0)}" if name == "prepare" else name
            compose(chosen, [first_job(word) for word in words if "interval(" not in word and word != "--help"])
