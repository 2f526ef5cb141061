"""Entry points of other packages, loaded one by one; ``tests/test_plugins.py`` installs real plug-ins."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from jdrl_lightning.diagnosis import plugins


def test_every_entry_point_of_ours_is_loaded_and_its_problem_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [
        EntryPoint("good", "json:dumps", "jdrl_lightning.methods"),
        EntryPoint("torn", "no_such_module:x", "jdrl_lightning.backbones"),
        EntryPoint("empty", "json:no_such_name", "jdrl_lightning.backbones"),
        EntryPoint("other", "no_such_module:x", "another_package.backbones"),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda: EntryPoints(entries))
    assert plugins.found() == [
        ("of no_such_module:x", "backbones: torn", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("of json:no_such_name", "backbones: empty", "AttributeError: module 'json' has no attribute 'no_such_name'"),
        ("of json:dumps", "methods: good", None),
    ]
