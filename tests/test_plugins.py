"""Plug-ins register their components by entry points; a broken one affects only its own names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.cli import config
from jdrl_lightning.diagnosis import plugins
from jdrl_lightning.registry import Registry
from processes import forked

EXAMPLE = Path(__file__).parent / "plugin_example"
THEIRS = ("backbone=theirs", "flow=theirs", "objective=theirs", "data=theirs", "trainer.accelerator=cpu")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example plug-in, installed by pip into its own folder."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", target, EXAMPLE], check=True, timeout=120)
    return target


def broken(site: Path, name: str, groups: dict[str, str], files: dict[str, str]) -> Path:
    """Write the files of an installed package by hand."""
    for relative, text in files.items():
        path = site / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"[jdrl_lightning.{group}]\n{entry}\n" for group, entry in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return site


@pytest.fixture
def hostile_site(tmp_path: Path) -> Path:
    """Broken plug-ins: a failing import, invalid configuration packages, and a name of ours."""
    site = tmp_path / "broken"
    entry = "torn = torn_plugin.backbone:torn"
    files = {"torn_plugin/__init__.py": "", "torn_plugin/backbone.py": "import no_such_module_anywhere\n"}
    groups = {"backbones": entry, "flows": entry.replace("backbone:", "flow:"), "methods": entry, "classical": entry}
    broken(site, "torn-plugin", groups, files)
    files = {"raising_plugin/__init__.py": "raise RuntimeError('not today')\n", "bare_plugin/conf/unet.yaml": "a: [\n"}
    broken(site, "raising-plugin", {"conf": "raising = raising_plugin.conf", "backbones": "raising = ???"}, files)
    broken(site, "bare-plugin", {"conf": "bare = bare_plugin.conf", "backbones": "unet = bare_plugin:unet"}, {})
    files = {"odd_plugin/conf/__init__.py": "", "odd_plugin/conf/backbone/odd.yaml": "name: [\n"}
    return broken(site, "odd-plugin", {"conf": "odd = odd_plugin.conf"}, files)


def python(folder: Path, sites: list[Path], *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked(folder, *arguments, PYTHONPATH=os.pathsep.join(str(site) for site in sites))


def test_the_real_command_trains_what_a_plug_in_brings_and_its_checkpoint_loads_again(
    site: Path, tmp_path: Path
) -> None:
    train = ("-m", "jdrl_lightning.train", *THEIRS, "debug=fast", "callbacks.progress=null")
    done = python(tmp_path, [site], *train)
    assert done.returncode == 0, done.stderr
    (checkpoint,) = tmp_path.glob("outputs/default/*/checkpoints/last.ckpt")
    metrics = (checkpoint.parents[1] / "metrics.csv").read_text()
    assert "train/loss/aligned" in metrics.splitlines()[0]
    again = (
        "from jdrl_lightning import build\n"
        f"module = build.from_checkpoint({str(checkpoint)!r})\n"
        "print(type(module.backbone.network).__module__, type(module.objective).__name__, "
        "type(module.objective.flow).__name__, len(build.datamodule(module.config).pairs('val')))"
    )
    loaded = python(tmp_path, [site], "-c", again)
    assert loaded.stdout.split() == ["deblur_theirs.backbone", "Aligned", "BlockMatching", "4"], loaded.stderr
    without = python(tmp_path, [], "-c", again)
    assert "unknown backbone 'theirs'" in without.stderr
    assert str(checkpoint) in without.stderr


def test_what_a_plug_in_brings_passes_the_kit(site: Path, tmp_path: Path) -> None:
    code = (
        "from jdrl_lightning import backbones, flow, objectives\n"
        "from jdrl_lightning.testing import *\n"
        "assert_is_backbone(backbones.create('theirs'))\n"
        "assert_is_flow(flow.create('theirs'))\n"
        "assert_is_objective(objectives.create('theirs', flow={'name': 'theirs'}))\n"
        "print(backbones.names()[-1], flow.names()[-1], objectives.names()[-1])"
    )
    done = python(tmp_path, [site], "-c", code)
    assert done.stdout.split() == ["theirs"] * 3, done.stderr


def test_broken_plug_ins_are_named_and_affect_no_others(site: Path, hostile_site: Path, tmp_path: Path) -> None:
    sites = [hostile_site, site]
    shown = python(tmp_path, sites, "-m", "jdrl_lightning.train", *THEIRS[:4], "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert "channels: 8" in shown.stdout
    assert "plug-in raising-plugin: configuration raising_plugin.conf skipped (RuntimeError" in shown.stderr
    assert "plug-in bare-plugin: configuration bare_plugin.conf skipped (no __init__.py)" in shown.stderr
    code = (
        "from jdrl_lightning import UserError, backbones\n"
        "print(backbones.names()[-3:])\n"
        "print(backbones.create('theirs').name, type(backbones.create('unet', width=4).network).__module__)\n"
        "for name in ('torn', 'raising', 'absent'):\n"
        "    try: backbones.create(name)\n"
        "    except UserError as error: print(error)"
    )
    done = python(tmp_path, sites, "-c", code)
    assert done.returncode == 0, done.stderr
    names, made, torn, raising, absent = done.stdout.splitlines()
    assert names == "['raising', 'theirs', 'torn']"
    assert made == "theirs jdrl_lightning.backbones.unet"
    assert torn.startswith("backbone 'torn' comes from torn-plugin, which cannot be loaded (ModuleNotFoundError")
    assert raising.startswith("backbone 'raising' comes from raising-plugin, which cannot be loaded")
    assert absent.startswith("unknown backbone 'absent'; known: unet")
    assert "plug-in torn-plugin: its backbone 'torn' cannot be loaded" in done.stderr
    assert "plug-in bare-plugin: the backbone 'unet' is built in, so the plug-in's is ignored" in done.stderr


def test_an_invalid_yaml_affects_only_its_option(hostile_site: Path, tmp_path: Path) -> None:
    shown = python(tmp_path, [hostile_site], "-m", "jdrl_lightning.train", "backbone=odd", "--cfg", "job")
    assert shown.returncode != 0
    assert str(Path("odd_plugin") / "conf" / "backbone" / "odd.yaml") in shown.stderr
    fine = python(tmp_path, [hostile_site], "-m", "jdrl_lightning.train", "--cfg", "job")
    assert fine.returncode == 0


def test_doctor_names_broken_plug_ins(site: Path, hostile_site: Path, tmp_path: Path) -> None:
    done = python(tmp_path, [hostile_site, site], "-m", "jdrl_lightning.doctor", "backbone=theirs")
    assert done.returncode == 1
    assert "theirs: 1,2" in done.stdout  # the valid plug-in's network is built: 1,211 parameters
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    for message in (
        "plug-in torn-plugin, backbones: torn: ModuleNotFoundError",
        "plug-in torn-plugin, methods: torn: ModuleNotFoundError",
        "plug-in torn-plugin, classical: torn: ModuleNotFoundError",
        "plug-in raising-plugin, conf: raising: RuntimeError: not today",
        "backbone=odd: does not compose",
    ):
        assert message in line
    assert "deblur-theirs" not in line


def test_broken_plug_ins_are_found_in_every_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Path(plugins.__file__).parents[1].rglob("*.py")
    groups = {name for source in sources for name in re.findall(r'group="jdrl_lightning\.(\w+)"', source.read_text())}
    assert groups >= {"backbones", "flows", "objectives", "datasets", "methods", "classical", "conf"}
    site = broken(tmp_path, "torn-plugin", dict.fromkeys(groups, "torn = no_such_package_anywhere:torn"), {})
    monkeypatch.syspath_prepend(site)
    found = {entry: problem for package, entry, problem in plugins.found() if package == "torn-plugin"}
    assert set(found) == {f"{group}: torn" for group in groups}
    assert all("no_such_package_anywhere" in str(problem) for problem in found.values())


def test_of_two_plug_ins_with_one_name_the_valid_one_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    group = "jdrl_lightning.backbones"
    entries = [EntryPoint("twice", "no_such_module:x", group), EntryPoint("twice", "json:dumps", group)]
    monkeypatch.setattr("jdrl_lightning.registry.entry_points", lambda **_: entries)
    registry = Registry("backbone", {}, group)
    assert registry.names() == ["twice"]
    assert registry.create("twice", obj=1) == "1"
    assert "no_such_module" in caplog.text
    with pytest.raises(UserError, match="unknown backbone 'once'; known: twice"):
        registry.load("once")


def test_configuration_packages_are_checked() -> None:
    assert config._problem(EntryPoint("ours", "tests_nowhere.conf", "jdrl_lightning.conf")) is not None
    assert config._problem(EntryPoint("ours", "hydra.conf", "jdrl_lightning.conf")) is None
