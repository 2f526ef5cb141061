"""The workspace of docs/dashboards shows what a run logs, and the page explains all of it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callbacks.offline import SCALARS
from jdrl_lightning.objectives.contextual import Contextual
from jdrl_lightning.objectives.fdl import FrequencyDistribution
from jdrl_lightning.objectives.jdrl_map import JDRLMap
from jdrl_lightning.objectives.mimicked import Mimicked
from jdrl_lightning.objectives.supervised import Supervised

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.syspath_prepend(str(DOCS / "dashboards"))
    return runpy.run_path(str(DOCS / "dashboards" / "panels.py"))


def lines(panels: dict[str, Any]) -> set[str]:
    return {line for section in panels["SECTIONS"].values() for panel in section.values() for line in panel}


def test_every_line_of_the_workspace_is_logged_and_explained(panels: dict[str, Any]) -> None:
    only_rendered = {f"val/aligned/{metric}" for metric in ("psnr", "gain", "ssim", "mae")}
    classes = (JDRLMap, Contextual, FrequencyDistribution, Mimicked, Supervised)
    known = {term for objective in classes for term in objective.known_terms} | {"perceptual"}
    terms = {f"train/loss/{term}" for term in known}  # some of them in each training
    assert lines(panels) - only_rendered <= SCALARS | terms
    page = (DOCS / "dashboards.md").read_text()
    for reference in ("gt", "deformed_gt"):
        page += page.replace("<reference>", reference)
    explained = set(re.findall(r"`([^`\n]+)`", page.replace("lr-<optimiser>", "lr-Adam")))
    groups = {name.rpartition("/")[0] for name in explained}  # `val/placement/rms`, `p95`: the second is of this group
    for name in SCALARS | terms:
        group, _, last = name.rpartition("/")
        assert name in explained or (group in groups and last in explained), name


def test_the_workspace_is_built_without_a_network(panels: dict[str, Any]) -> None:
    ws = pytest.importorskip("wandb_workspaces.workspaces")
    made = runpy.run_path(str(DOCS / "dashboards" / "workspace.py"))["workspace"]("me", "jdrl_lightning")
    again = ws.Workspace._from_model(made._to_model())
    plots = [panel for section in again.sections for panel in section.panels if hasattr(panel, "y")]
    assert {getattr(line, "name", line) for panel in plots for line in panel.y} == lines(panels)
    assert {getattr(panel.x, "name", panel.x) for panel in plots} == {panels["STEP"]}


def test_without_a_key_it_can_be_looked_at() -> None:
    pytest.importorskip("wandb_workspaces")
    command = [sys.executable, str(DOCS / "dashboards" / "workspace.py"), "me", "mine", "--print"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stderr
    assert '"val/deformed_gt/psnr"' in shown.stdout
