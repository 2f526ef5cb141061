"""doctor knows the extras of the project, and names the command to install a missing one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch

from jdrl_lightning.diagnosis import environment

ROOT = Path(__file__).parents[2]


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {name: re.split("[><=]", lines[0])[0] for name, lines in project.items() if name != "dev"}
    assert {name: package for name, (package, _) in environment.EXTRAS.items()} == wanted


def test_a_missing_extra_has_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "EXTRAS", {"odd": ("no-such-package-anywhere", "nothing")})
    assert environment.extras() == [("odd", "missing: pip install 'jdrl_lightning[odd]'", "nothing")]
    assert environment.versions()["torch"].startswith(torch.__version__.split("+")[0])
