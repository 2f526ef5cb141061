"""Every option composes, and every option that can be built on a CPU is built."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from jdrl_lightning import backbones, build, objectives
from jdrl_lightning.cli import config
from jdrl_lightning.cli.targets import instantiate
from small import backbone_settings, flow_settings

CONF = Path(config.CONF)
Compose = Callable[..., dict[str, Any]]


def options(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


SMALL = ("backbone.width=4", "data.root=nowhere")
HARDWARE = ("devices", "accelerator", "strategy")  # the user's, never an experiment's


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


@pytest.mark.parametrize("group", ["optim", "callbacks", "logger", "debug", "trainer"])
def test_every_other_option_composes(group: str, composed: Compose, tmp_path: Path) -> None:
    for name in options(group):
        settings = composed(tmp_path, f"{group}={name}", "data.root=nowhere")
        backbone = settings["backbone"]["name"]
        small = settings | {"backbone": {"name": backbone, **backbone_settings(backbone, tmp_path)}}
        assert build.module(small).configure_optimizers()
        assert build.parts(settings["callbacks"])


def rooted(group: str, name: str) -> list[str]:
    """A root for the data sets that need one."""
    return (
        ["data.root=nowhere"] if group == "data" and "root: ???" in (CONF / group / f"{name}.yaml").read_text() else []
    )


def test_smoke_composes_with_every_data_set_and_trainer(composed: Compose, tmp_path: Path) -> None:
    for group in ("data", "trainer"):
        for name in options(group):
            root = rooted(group, name)
            settings = composed(tmp_path, "experiment=smoke", f"{group}={name}", *root)
            expected = composed(tmp_path, f"{group}={name}", *root)[group]
            if group == "trainer":
                assert [settings[group][k] for k in HARDWARE] == [expected[k] for k in HARDWARE]
            else:
                assert settings[group].keys() == expected.keys()


def test_a_camera_is_changed_as_documented(composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, "data=photos", "data.camera=varied", "data.optics={blades: 7, iso: 800}")
    assert settings["data"]["optics"] == {"blades": 7, "iso": 800}


def test_experiments_set_only_what_every_option_of_a_group_has(composed: Compose, tmp_path: Path) -> None:
    """Anything else would leak into another data set, or override the user's own trainer."""
    common: dict[str, set[str]] = {}
    for experiment in options("experiment"):
        body: Any = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / f"{experiment}.yaml"))
        assert body.pop("name") == experiment
        del body["defaults"]
        for group, settings in body.items():
            if group not in common:
                each = [composed(tmp_path, f"{group}={name}", *rooted(group, name))[group] for name in options(group)]
                common[group] = set.intersection(*(set(dotted(one)) for one in each))
            assert set(dotted(settings)) <= common[group] - set(HARDWARE), experiment


def dotted(settings: dict[str, Any], prefix: str = "") -> list[str]:
    """``a.b`` for every setting that is not a group."""
    return [
        name
        for key, value in settings.items()
        for name in (dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"])
    ]


def everything(objective: nn.Module) -> dict[str, Any]:
    """What an objective's settings determine: attributes, stages, flow estimator, networks and their first weights.

    Each module's and the flow estimator's attributes under its name; torch's own attributes are left out.
    """
    found: dict[str, Any] = {}
    for name, part in [*objective.named_modules(), ("flow", getattr(objective, "flow", None))]:
        found[f"{name}: type"] = type(part)
        for key, value in vars(part).items() if part is not None else ():
            if isinstance(value, partial):
                found[f"{name}.{key}"] = (value.func, value.args, value.keywords)
            elif not key.startswith("_") and not (name == "" and key == "flow"):
                found[f"{name}.{key}"] = value
    return found | {f"weights of {name}": value.numpy().tobytes() for name, value in objective.state_dict().items()}


def drawn(name: str, **settings: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    return everything(objectives.create(name, **settings))


@pytest.mark.parametrize("name", list(objectives._registry._targets))
def test_a_preset_is_the_same_in_python_as_in_yaml(name: str, composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, f"objective={name}", "data.root=nowhere")["objective"]
    flow = {"flow": {"name": "gauss_newton"}} if "flow" in settings else {}
    assert settings["name"] == name
    assert drawn(**settings) == drawn(name, **flow)


OTHER = {  # than jdrl.yaml's, of settings that are words or lists
    "warmup_reblur": "detached", "reblur_learns_from": "aligned", "schedule": "official", "mask": "none",
    "anchor": "affine", "flow_of": "picture", "reduction": "masked_mean", "warp": "legacy", "output_weights": [0.5],
    "flow.name": "none", "reblur.kernel": "free", "reblur.support": "disk", "reblur.padding": "reflect",
    "reblur.init": "xavier",
}  # fmt: skip


def test_every_setting_of_the_objective_changes_what_is_built(composed: Compose, tmp_path: Path) -> None:
    """Otherwise the test above would not see it, or it does nothing."""
    small = ("objective.reblur.width=4", "objective.reblur.levels=3", "data.root=nowhere")
    settings = composed(tmp_path, *small)["objective"]
    torch.manual_seed(1)
    torch.save(objectives.create(**settings).reblur.state_dict(), tmp_path / "reblur.pth")
    before = drawn(**settings)
    elsewhere = ("name", "perceptual_weight", "perceptual_file")  # the last two: tests/objectives/test_perceptual.py
    changed = dotted({key: value for key, value in settings.items() if key not in elsewhere})
    assert {"lam", "alpha", "warmup_epochs", "reblur.width", "reblur.weights"} <= set(changed)
    for key in changed:
        *parents, last = key.split(".")
        other = copy.deepcopy(settings)
        place = other[parents[0]] if parents else other
        old = place[last]
        if old is None:
            place[last] = str(tmp_path / "reblur.pth")
        elif isinstance(old, bool):
            place[last] = not old
        else:
            place[last] = OTHER[key] if key in OTHER else old + type(old)(0.25) if isinstance(old, float) else old + 1
        assert drawn(**other) != before, key


def test_yaml_files_are_short_and_say_what_they_are() -> None:
    for path in CONF.rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert len(lines) < 25, path
        assert any(line.startswith("#") for line in lines[:2]), path


def test_mprnet_is_trained_as_its_recipe_says(composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, "experiment=sdd_mprnet_jdrl", "data.root=nowhere", "flow=gauss_newton")
    objective = objectives.create(**settings["objective"])
    assert [stage.name for stage in objective.schedule.stages] == ["joint"]
    assert objective.output_weights == (1.0, 1.0, 1.0)
    assert (objective.lam, objective.edge_weight) == (0.4, 0.05)
    optim = {name: instantiate(part) for name, part in settings["optim"].items()}
    rates = [2e-5 * optim["scheduler"](epoch) for epoch in (0, 2, 3, 3000)]
    assert rates == pytest.approx([1e-6, 1e-6 + 1.9e-5 * 2 / 3, 2e-5, 1e-6])
