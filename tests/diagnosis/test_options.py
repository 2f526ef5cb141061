"""Options are listed with the first comment of their file, and those that do not compose are named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from jdrl_lightning.cli import config as conf
from jdrl_lightning.diagnosis import options
from jdrl_lightning.diagnosis.tables import table


@pytest.fixture
def hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    conf.register()
    with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
        yield


@pytest.mark.usefixtures("hydra")
def test_every_option_is_listed_with_its_comment() -> None:
    for group in options.LISTS.values():
        found = options.descriptions(group)
        files = {path.stem: path for path in (Path(conf.CONF) / group).glob("*.yaml")}
        assert found.keys() == files.keys()
        for name, line in found.items():
            assert line, name
            assert f"# {line}" in files[name].read_text().splitlines()


@pytest.mark.usefixtures("hydra")
def test_no_sentence_is_cut() -> None:
    for group, option in options.LISTS.items():
        found = options.descriptions(option)
        console = Console(width=80, record=True)
        console.print(table(group, (option, "what it is"), found.items()))
        shown = " ".join(console.export_text().replace("│", " ").split())
        for name, line in found.items():
            assert line.endswith(".") or "pip install" in line, name
            assert line in shown


def test_an_option_that_does_not_compose_is_named(hydra: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(name: str, overrides: list[str]) -> Any:
        if overrides == ["flow=oracle"]:
            raise ValueError("torn\nyaml")
        return compose(name, overrides) if overrides == ["optim=paper"] else None

    monkeypatch.setattr(options, "compose", refuse)
    assert options.broken() == {}  # the package's own are not composed
    monkeypatch.setattr(options, "CONF", str(tmp_path))
    assert options.broken() == {"flow=oracle": "torn yaml"}
