"""What runs elsewhere (workflow, images, templates) names commands and files that are here."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COMMANDS = ("make setup", "make test")


def test_the_workflow_runs_the_two_commands_of_the_readme() -> None:
    content = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps: list[dict[str, Any]] = content["jobs"]["tests"]["steps"]
    assert tuple(step["run"] for step in steps if "run" in step) == COMMANDS
    commands = [step["run"] for job in content["jobs"].values() for step in job["steps"] if "run" in step]
    targets = set(re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {command.removeprefix("make ") for command in commands} <= targets
    assert "make test " in (ROOT / "README.md").read_text()
    (python,) = (step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", ""))
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == f">={python}"


@pytest.mark.parametrize("name", ["bug", "proposal"])
def test_templates_have_what_github_requires(name: str) -> None:
    content = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml").read_text())
    assert {"name", "description", "body"} <= content.keys()
    for part in content["body"]:
        assert part["type"] in ("markdown", "textarea")
        assert ("value" if part["type"] == "markdown" else "label") in part["attributes"]


def test_the_image_copies_what_there_is_and_all_that_a_wheel_takes() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    copied = [name for line in lines if line.startswith("COPY ") for name in line.split()[1:-1]]
    assert all((ROOT / name).exists() for name in copied)
    assert {"pyproject.toml", "README.md", "LICENSE", "src", "conf"} <= set(copied)  # as tests/test_wheel.py builds it
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(kept) == set(copied)
    assert "FROM python:3.11-slim" in lines
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == COMMANDS[0]


@pytest.mark.parametrize(
    "name", ["SECURITY.md", ".github/ISSUE_TEMPLATE/bug.yml", ".github/ISSUE_TEMPLATE/proposal.yml"]
)
def test_files_named_exist(name: str) -> None:
    for file in re.findall(r"\b((?:docs|tests)/[\w/.]+\.(?:md|py))", (ROOT / name).read_text()):
        assert (ROOT / file).is_file(), file
