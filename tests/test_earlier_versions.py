"""Files that version 0.1.0 wrote still resume, restore and rank, and the imports that it documented still work.

``written_by_0.1.0`` comes from its own commands: ``train experiment=smoke backbone.width=2 objective.reblur.width=4
data.crop=32 data.frames_per_photo.train=1 trainer.max_epochs=3``, ``export formats=[pt2] size=[64,64]`` of that
checkpoint, and a sweep of the same training over ``objective.alpha=0.25,0.5``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError, build
from jdrl_lightning.evaluation.rank_sweep import rank
from jdrl_lightning.training.fit import fit

WRITTEN = Path(__file__).with_name("written_by_0.1.0")
CHECKPOINT = WRITTEN / "last.ckpt"
IMPORTS = {  # of its README, docs and notebooks
    "jdrl_lightning": ["DeblurringModule", "Losses", "Pair", "Restored", "UserError", "backbones", "config", "data",
                       "flow", "metrics", "objectives"],
    "jdrl_lightning.backbones": ["Backbone"],
    "jdrl_lightning.callbacks.panels": ["panel"],
    "jdrl_lightning.callbacks.stages": ["StageCallback"],
    "jdrl_lightning.data.augment": ["collate"],
    "jdrl_lightning.data.datamodule": ["PairDataModule"],
    "jdrl_lightning.data.images": ["to_float"],
    "jdrl_lightning.data.pairs": ["FolderPairs"],
    "jdrl_lightning.flow.base": ["FlowEstimator"],
    "jdrl_lightning.flow.color": ["flow_to_rgb"],
    "jdrl_lightning.flow.masks": ["calibration_mask"],
    "jdrl_lightning.flow.warp": ["in_frame", "warp"],
    "jdrl_lightning.objectives": ["Objective", "Schedule", "Stage"],
    "jdrl_lightning.reblur": ["kernels"],
    "jdrl_lightning.reblur.operator": ["reblur"],
    "jdrl_lightning.testing": ["assert_is_backbone"],
    "jdrl_lightning.types": ["Losses", "Pair", "Restored"],
}  # fmt: skip


@pytest.fixture(scope="module")
def blurry() -> torch.Tensor:
    return torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64).sin().abs()


def test_a_checkpoint_restores(blurry: torch.Tensor) -> None:
    with torch.inference_mode():
        restored = build.from_checkpoint(CHECKPOINT)(blurry)
    expected = torch.tensor([0.050983965396881104, 0.37490585446357727, 0.6569925546646118])  # by 0.1.0
    torch.testing.assert_close(restored[0, :, 10, 20], expected)
    assert float(restored.double().sum()) == pytest.approx(5616.394539109431, rel=1e-6)


def test_an_exported_program_restores_as_its_checkpoint(blurry: torch.Tensor) -> None:
    program = torch.export.load(WRITTEN / "unet.pt2").module()
    with torch.inference_mode():
        torch.testing.assert_close(program(blurry), build.from_checkpoint(CHECKPOINT)(blurry))


def test_a_training_resumes(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    settings = ("backbone.width=2", "objective.reblur.width=4", "data.crop=32", "data.frames_per_photo.train=1")
    then = ("objective.reblur.stride=1", "objective.flow_of=crop", "objective.alpha=0.5")  # the defaults of 0.1.0
    quiet = ("callbacks.progress=null", "callbacks.panels=null", "data.num_workers=0", "trainer.accelerator=cpu")
    config = composed(
        tmp_path, "experiment=smoke", *settings, *then, *quiet, "trainer.max_epochs=4", f"ckpt_path={CHECKPOINT}"
    )
    coarse = {**config, "objective": {**config["objective"], "reblur": {**config["objective"]["reblur"], "stride": 4}}}
    with pytest.raises(UserError, match=r"trained with objective\.reblur\.stride=1"):
        fit(coarse, tmp_path)
    fit(config, tmp_path)
    before, after = (build.read_checkpoint(path) for path in (CHECKPOINT, tmp_path / "checkpoints" / "last.ckpt"))
    assert [before["global_step"], after["global_step"]] == [18, 24]  # three epochs of six steps, then the fourth
    assert any(not torch.equal(value, after["state_dict"][name]) for name, value in before["state_dict"].items())


def test_a_sweep_is_ranked(tmp_path: Path) -> None:
    ranking = rank(copytree(WRITTEN / "sweep", tmp_path / "sweep"), tmp_path / "ranked", overwrite=False)
    lines = [line.split("|")[1:3] for line in ranking.splitlines() if line.startswith("| ")]
    assert [tuple(cell.strip() for cell in line) for line in lines[2:]] == [("0", "0.25"), ("1", "0.5")]


@pytest.mark.parametrize("module", IMPORTS)
def test_documented_imports_still_work(module: str) -> None:
    imported = __import__(module, fromlist=IMPORTS[module])  # as ``from module import …``, submodules included
    assert not [name for name in IMPORTS[module] if not hasattr(imported, name)]


def test_console_scripts_are_the_same() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    commands = ("train", "evaluate", "predict", "export", "doctor", "prepare")
    assert {f"jdrl-{name}": f"jdrl_lightning.{name}:main" for name in commands}.items() <= project["scripts"].items()
