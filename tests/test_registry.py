"""Components by name: loaded on first use, and a one-line error for each mistake."""

from __future__ import annotations

import re
import sys
from importlib.metadata import EntryPoint, entry_points
from types import SimpleNamespace

import pytest

from jdrl_lightning import UserError, backbones
from jdrl_lightning.registry import Registry, distribution

TARGETS = {"fraction": "fractions:Fraction", "window": "textwrap:TextWrapper", "absent": "no_such_module:x"}
GROUP = "jdrl_lightning.no_such_group"


@pytest.fixture
def registry() -> Registry:
    return Registry("number", TARGETS, GROUP)


def test_names_are_listed_without_an_import(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fractions", raising=False)
    assert registry.names() == ["fraction", "window", "absent"]
    assert "fractions" not in sys.modules
    assert registry.load("fraction").__name__ == "Fraction"
    assert "fractions" in sys.modules


def test_what_is_created_is_the_target_with_the_settings(registry: Registry) -> None:
    assert str(registry.create("fraction", numerator=6, denominator=4)) == "3/2"


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("frac", {}, "unknown number 'frac'; known: fraction, window, absent"),
        ("window", {"widht": 3}, "number 'window': .*unexpected keyword argument 'widht'; did you mean width\\?$"),
        ("window", {"colour": 3}, "number 'window': .*unexpected keyword argument 'colour'$"),
        ("fraction", {"numerator": "x"}, "number 'fraction' cannot be built with these settings: Invalid literal"),
    ],
)
def test_mistakes_are_named(name: str, settings: dict[str, object], message: str, registry: Registry) -> None:
    with pytest.raises(UserError, match=message) as error:
        registry.create(name, **settings)
    assert "\n" not in str(error.value)


def test_a_misspelt_setting_of_a_backbone_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match=r"'widht'; did you mean width\?"):
        backbones.create("unet", widht=4)


def test_plug_ins_come_after_ours_and_cannot_replace_them(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entries = [EntryPoint(name, "json:dumps", GROUP) for name in ("zeta", "fraction", "alpha")]
    monkeypatch.setattr("jdrl_lightning.registry.entry_points", lambda **_: entries)
    assert registry.names() == ["fraction", "window", "absent", "alpha", "zeta"]
    assert "the number 'fraction' is built in, so the plug-in's is ignored" in caplog.text
    assert registry.load("fraction").__module__ == "fractions"
    assert registry.create("alpha", obj=[1]) == "[1]"


def test_a_broken_plug_in_is_named_with_its_package(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    entry = SimpleNamespace(name="torn", value="no_such_module:x", dist=SimpleNamespace(name="their-package"))
    entry.load = lambda: EntryPoint("torn", entry.value, GROUP).load()
    monkeypatch.setattr("jdrl_lightning.registry.entry_points", lambda **_: [entry])
    with pytest.raises(UserError, match=r"number 'torn' comes from their-package, .*no_such_module.*repair or remove"):
        registry.load("torn")
    assert "plug-in their-package: its number 'torn' cannot be loaded" in caplog.text
    assert registry.load("fraction")(1, 2) == 0.5


def test_the_package_of_an_entry_point() -> None:
    ours = next(iter(entry_points(name="jdrl-train")))
    assert re.sub("[-_]", "-", distribution(ours)) == "jdrl-lightning"
    assert distribution(EntryPoint("x", "some.module:x", GROUP)) == "of some.module:x"
