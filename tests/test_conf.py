"""Every option composes, and every option that can be built on a CPU is built."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning import backbones, build, config, objectives
from jdrl_lightning.objectives import presets
from small import backbone_settings, flow_settings

CONF = Path(config.CONF)
Compose = Callable[..., dict[str, Any]]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


SMALL = ("backbone.width=4", "data.root=nowhere")


@pytest.mark.parametrize("name", options("objective"))
def test_every_objective_is_built(name: str, composed: Compose, tmp_path: Path) -> None:
    built = build.module(composed(tmp_path, f"objective={name}", *SMALL))
    assert built.objective.schedule.stages


@pytest.mark.parametrize("name", options("backbone"))
def test_every_backbone_is_built(name: str, composed: Compose, tmp_path: Path) -> None:
    file = backbone_settings("spandrel", tmp_path)["path"]
    settings = composed(tmp_path, f"backbone={name}", *([f"backbone.path={file}"] if name == "spandrel" else []))
    backbone = build.module(settings).backbone
    assert backbone.licence
    taken = inspect.signature(backbones._registry.load(settings["backbone"]["name"])).parameters
    assert settings["backbone"].keys() == {"name", "weights", *taken}, "a setting that does nothing, or a hidden one"


@pytest.mark.parametrize("name", options("flow"))
def test_every_flow_is_built(name: str, composed: Compose, tmp_path: Path) -> None:
    if name == "ptlflow":
        pytest.importorskip("ptlflow")
    settings = [f"flow.{key}={value}" for key, value in flow_settings(name).items()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*random weights")
        assert build.module(composed(tmp_path, f"flow={name}", *settings, *SMALL)).objective.flow is not None


@pytest.mark.parametrize("group", ["optim", "callbacks", "logger", "debug", "trainer", "experiment"])
def test_every_other_option_composes(group: str, composed: Compose, tmp_path: Path) -> None:
    for name in options(group):
        settings = composed(tmp_path, f"{group}={name}", "data.root=nowhere")
        backbone = settings["backbone"]["name"]
        small = settings | {"backbone": {"name": backbone, **backbone_settings(backbone, tmp_path)}}
        assert build.module(small).configure_optimizers()
        assert build.parts(settings["callbacks"])


def test_experiments_compose_with_every_data_set_and_trainer(composed: Compose, tmp_path: Path) -> None:
    for experiment in options("experiment"):
        for group in ("data", "trainer"):
            for name in options(group):
                root = ["data.root=nowhere"] if name == "folder" or group == "trainer" else []
                settings = composed(tmp_path, f"experiment={experiment}", f"{group}={name}", *root)
                expected = composed(tmp_path, f"{group}={name}", *root)[group]
                if group == "trainer":
                    assert [settings[group][k] for k in ("devices", "accelerator", "strategy")] == [
                        expected[k] for k in ("devices", "accelerator", "strategy")
                    ]
                else:
                    assert settings[group].keys() == expected.keys()


@pytest.mark.parametrize("name", ["jdrl", "jdrl_official", "jdrl_robust"])
def test_the_yaml_says_what_the_python_preset_says(name: str, composed: Compose, tmp_path: Path) -> None:
    from_yaml = build.module(composed(tmp_path, f"objective={name}", *SMALL)).objective
    from_python = objectives.create(name, flow={"name": "gauss_newton"})
    assert from_yaml.schedule == from_python.schedule
    assert from_yaml.state_dict().keys() == from_python.state_dict().keys()
    for setting in (
        "lam",
        "mask",
        "min_px",
        "mask_warmup",
        "in_frame",
        "anchor",
        "reduction",
        "grid",
        "eps",
        "edge_weight",
    ):
        assert getattr(from_yaml, setting) == getattr(from_python, setting), setting
    assert hasattr(presets, name)


def test_yaml_files_are_short_and_say_what_they_are() -> None:
    for path in CONF.rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 35, path
        assert any(line.startswith("#") for line in lines[:2]), path


def test_mprnet_is_trained_as_its_recipe_says(composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, "experiment=mprnet_jdrl_sdd", "data.root=nowhere")
    objective = objectives.create(**settings["objective"])
    assert [stage.name for stage in objective.schedule.stages] == ["joint"]
    assert objective.output_weights == (1.0, 1.0, 1.0)
    assert (objective.lam, objective.edge_weight) == (0.4, 0.05)
    optim = {name: build._instantiate(part) for name, part in settings["optim"].items()}
    rates = [2e-5 * optim["scheduler"](epoch) for epoch in (0, 2, 3, 3000)]
    assert rates == pytest.approx([2e-5 / 3, 2e-5, 2e-5, 1e-6])
