"""What doctor prints, and which problems its tables return."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from jdrl_lightning.diagnosis import components, environment, loading, options, plugins, tables, weights
from jdrl_lightning.errors import UserError


@pytest.fixture
def console() -> Console:
    return Console(width=150, record=True)


def test_cells_are_not_markup(console: Console) -> None:
    console.print(tables.table("title", ("file", "bytes"), [("[red]w[/red].pth", 12), ("[/]", None)]))
    shown = console.export_text()
    for word in ("title", "file", "[red]w[/red].pth", "12", "[/]", "None"):
        assert word in shown


def test_environment(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "EXTRAS", {"odd": ("no-such-package-anywhere", "backbone=odd")})
    tables.show_environment(console)
    shown = console.export_text()
    for word in (torch.__version__.split("+")[0], "cpu: ", "pip install 'jdrl_lightning[odd]'", "backbone=odd"):
        assert word in shown


def test_plug_ins(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "found", list)
    assert tables.show_plugins(console) == []
    assert not console.export_text()
    found = [("good-plugin", "flows: good", None), ("torn-plugin", "flows: torn", "ImportError: x")]
    monkeypatch.setattr(plugins, "found", lambda: found)
    assert tables.show_plugins(console) == ["plug-in torn-plugin, flows: torn: ImportError: x"]
    shown = console.export_text()
    assert "good-plugin" in shown
    assert "loads" in shown


def test_every_part_that_cannot_be_built_is_a_problem(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        components, "tried", lambda config: {"backbone": "unet: 1,000", "flow": UserError("no weights")}
    )
    monkeypatch.setattr(options, "broken", lambda: {"data=odd": "a yaml error"})
    monkeypatch.setattr(weights, "perceptual", lambda path: (("missing: a.pth", "", ""), UserError("torn")))
    config: dict[str, Any] = {"backbone": {"weights": "nowhere.pth"}, "flow": {}, "lpips_weights": None}
    assert tables.show_parts(console, config) == [
        "flow: no weights", "lpips_weights: torn", "data=odd: does not compose: a yaml error",
    ]  # fmt: skip
    shown = console.export_text()
    for word in ("backbone.weights", "missing: nowhere.pth", "unet: 1,000", "error: no weights"):
        assert word in shown


@pytest.mark.parametrize(
    ("error", "message"),
    [(UserError("reported above"), ""), (torch.OutOfMemoryError(), "a step of data.batch_size=2 does not fit cpu")],
)
def test_a_step_that_cannot_be_timed(
    error: Exception, message: str, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*arguments: Any) -> float:
        raise error

    monkeypatch.setattr(loading, "trained", trained)
    module = SimpleNamespace(crops=lambda: {(0, 0): None, (0, 1): None}, batch_size=2, num_workers=0)
    tables.show_loading(console, {"data": {"store": "files"}}, module, [0], torch.device("cpu"))
    shown = console.export_text()
    assert message in shown
    assert "crops per second" not in shown


def test_loading_rates(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "trained", lambda *arguments: 20.0)
    monkeypatch.setattr(loading, "loaded", lambda crops, items: 5.0)
    module = SimpleNamespace(crops=lambda: {(0, 0): None}, batch_size=1, num_workers=1)
    tables.show_loading(console, {"data": {"store": "packed"}}, module, [0], torch.device("cpu"))
    shown = " ".join(console.export_text().split())
    assert "5 crops per second" in shown
    assert "20 crops per second" in shown
    assert "Loading is the bottleneck" in shown
    assert "prepare pack" not in shown  # packed already
