"""The published recipes: each builds, states what the paper reports for it, and trains."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import seed_everything

from jdrl_lightning import UserError, backbones, build
from jdrl_lightning.cli import config
from jdrl_lightning.cli.targets import instantiate
from jdrl_lightning.training.fit import fit
from small import BACKBONES

Compose = Callable[..., dict[str, Any]]

EXPERIMENTS = Path(config.CONF) / "experiment"
RECIPES = Path(__file__).parents[1] / "docs" / "recipes.md"

# PSNR/SSIM/MAE/LPIPS of the paper's Tables 1 (SDD: deformed GT), 2 (DPDD: GT, deformed GT) and 4 (SDD: deformed GT).
PUBLISHED: dict[str, tuple[str, ...]] = {
    "sdd_unet": ("24.62/0.758/0.0360/0.344",),
    "sdd_unet_jdrl": ("25.82/0.783/0.0320/0.305",),
    "sdd_mprnet": ("26.28/0.796/0.0293/0.302",),
    "sdd_mprnet_jdrl": ("26.88/0.810/0.0283/0.265",),
    "dpdd_unet": ("24.60/0.757/0.0426/0.281", "24.63/0.785/0.0424/0.261"),
    "dpdd_unet_jdrl": ("24.73/0.762/0.0422/0.273", "24.97/0.794/0.0413/0.248"),
    "dpdd_mprnet": ("25.72/0.791/0.0385/0.235", "26.03/0.820/0.0372/0.214"),
    "dpdd_mprnet_jdrl": ("25.73/0.792/0.0384/0.232", "26.21/0.825/0.0365/0.207"),
    "dpdd_ifan": ("25.37/0.789/0.0394/0.217", "25.86/0.825/0.0374/0.192"),
    "dpdd_ifan_jdrl": ("25.54/0.788/0.0389/0.207", "26.09/0.826/0.0372/0.177"),
    "dpdd_finetune": ("24.73/0.762/0.0422/0.273", "24.97/0.794/0.0413/0.248"),  # of its default network
    "sdd_restormer_map": (),  # the journal version's tables are not public
    # Others' networks by their own recipes, as far as these are known: PSNR as given in public tables.
    "dpdd_nafnet": ("25.39",),
    "dpdd_restormer": ("25.98",),
    "dpdd_kpac": ("25.22",),
    "dpdd_dpdnet": ("24.39/0.750/0.0435/0.277", "24.48/0.778/0.0435/0.262"),
    "dpdd_iniknet": (),  # by the settings of its published code
    "lfdof_drbnet": (),
    "dpdd_drbnet": ("25.73",),
    "ablation_1": ("24.62/0.758/0.0360/0.344",),
    "ablation_2": ("24.80/0.758/0.0353/0.347",),
    "ablation_3": ("25.78/0.780/0.0326/0.309",),
    "ablation_4": ("25.58/0.777/0.0335/0.311",),
    "ablation_5": ("25.68/0.778/0.0329/0.311",),
    "ablation_6": ("25.74/0.778/0.0330/0.332",),
}
OTHERS = ("demo", "finetune", "misalignment", "pretrain", "smoke")
GIVEN = {"data": "nowhere", "flow": "random", "backbone": "null"}  # what the header's command leaves to the user
TINY = (
    "data=folder",
    "data.crop=32",
    "data.batch_size=2",
    "data.repeat=1",
    "data.num_workers=0",
    "callbacks.panels.every_n_epochs=0",
    "callbacks.progress=null",
    "trainer.accelerator=cpu",
    "+trainer.enable_progress_bar=false",
    "+trainer.enable_model_summary=false",
    "trainer.log_every_n_steps=1",
)


def header(name: str) -> list[str]:
    """The comment lines on top of an experiment's file."""
    lines = (EXPERIMENTS / f"{name}.yaml").read_text().splitlines()
    return lines[: next(i for i, line in enumerate(lines) if not line.startswith("#"))]


def command(name: str) -> list[str]:
    """The arguments of the command in the header, with files and folders replaced by the test's own."""
    (line,) = [line for line in header(name) if "python -m jdrl_lightning.train" in line]
    arguments = shlex.split(line.lstrip("# ").partition("jdrl_lightning.train ")[2])
    files = {f"{group}.{key}" for group in GIVEN for key in ("root", "weights")}
    return [
        f"{key}={GIVEN[key.split('.')[0]]}" if key in files else argument
        for argument in arguments
        for key in [argument.partition("=")[0]]
    ]


def small(settings: dict[str, Any]) -> dict[str, Any]:
    """The same training with a network small enough for a test."""
    name = settings["backbone"]["name"]
    return settings | {"backbone": {"name": name, **BACKBONES[name]}}


def test_every_row_of_the_tables_has_its_experiment() -> None:
    assert {path.stem for path in EXPERIMENTS.glob("*.yaml")} == {*PUBLISHED, *OTHERS}


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_build(name: str, composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, f"experiment={name}")
    assert build.module(small(settings)).configure_optimizers()
    assert build.datamodule(settings)


@pytest.mark.parametrize("name", PUBLISHED)
def test_header_and_docs_say_what_the_paper_reports(name: str) -> None:
    (row,) = [line for line in RECIPES.read_text().splitlines() if line.startswith(f"| `{name}`")]
    for numbers in PUBLISHED[name]:
        assert numbers in "\n".join(header(name))
        assert numbers in row


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_the_command_builds(name: str, composed: Compose, tmp_path: Path) -> None:
    assert command(name)[0] == f"experiment={name}"
    settings = composed(tmp_path, *command(name))
    assert settings["name"] == name
    assert settings["data"]["name"] == name.split("_")[0].replace("ablation", "sdd")
    module = build.module(small(settings))
    assert module.configure_optimizers()
    assert module.objective.schedule.at(settings["trainer"]["max_epochs"] - 1) is module.objective.schedule.stages[-1]
    pairs = build.datamodule(settings)
    assert (pairs.crop, pairs.batch_size) == (settings["data"]["crop"], settings["data"]["batch_size"])


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.filterwarnings("ignore:.*random weights")
def test_other_pairs_and_trainers_keep_what_is_theirs(name: str, composed: Compose, tmp_path: Path) -> None:
    arguments = [a for a in command(name) if not a.startswith("data.")]
    settings = composed(tmp_path, *arguments, "data=photos_smoke", "trainer=ddp_cpu", "debug=fast")
    assert settings["data"].keys() == composed(tmp_path, "data=photos")["data"].keys()
    assert (settings["trainer"]["accelerator"], settings["trainer"]["devices"]) == ("cpu", 2)
    assert build.module(small(settings)).configure_optimizers()
    assert build.datamodule(settings)


def test_ablations_differ_from_the_full_row_in_one_thing(composed: Compose, tmp_path: Path) -> None:
    """Apart from the objective: #2 needs no flow, #1 nothing that JDRL adds."""
    full = composed(tmp_path, *command("sdd_unet_jdrl"))
    for number in range(1, 7):
        settings = composed(tmp_path, *command(f"ablation_{number}"))
        differing = {key for key in full if settings[key] != full[key]}
        assert differing - {"name", "objective"} <= ({"flow"} if number < 3 else set())
        assert settings["objective"] != full["objective"]
    baseline = composed(tmp_path, *command("sdd_unet"))
    first = composed(tmp_path, *command("ablation_1"))
    assert baseline | {"name": "ablation_1"} == first


@pytest.fixture
def run(composed: Compose, pairs_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """``run(experiment, *overrides)``: a tiny training of it on eight pairs; returns the run folder."""

    def start(name: str, *overrides: str) -> Path:
        folder = tmp_path / name
        fit(composed(folder, f"experiment={name}", *TINY, f"data.root={pairs_folder}", *overrides), folder)
        return folder

    return start


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def overrides(name: str) -> list[str]:
    return [f"backbone.{key}={value}" for key, value in BACKBONES[name].items()]


def test_mprnet_takes_a_step_of_sixteen_crops(run: Callable[..., Path]) -> None:
    folder = run("sdd_mprnet", *overrides("mprnet"), "data.repeat=2", "trainer.max_epochs=1")
    assert json.loads((folder / "summary.json").read_text())["steps"] == 1
    (rate,) = [float(row["lr-Adam"]) for row in rows(folder) if row["lr-Adam"]]
    assert rate == pytest.approx(2e-4 * (0.005 + 0.995 * 7 / 8 / 3))  # of the last of eight batches of two


def test_ifan_with_jdrl_keeps_its_own_head_and_optimiser(run: Callable[..., Path]) -> None:
    few = ("flow=gauss_newton", "objective.reblur.width=4", "objective.reblur.levels=3", "objective.warmup_epochs=1")
    folder = run("dpdd_ifan_jdrl", *overrides("ifan"), *few, "trainer.max_epochs=2", "trainer.limit_train_batches=1")
    trained = [row for row in rows(folder) if row["train/loss"]]
    assert len(trained) == 2
    for row in trained:
        terms = {name: float(row[f"train/loss/{name}"]) for name in ("align", "align_back", "reblur", "filter_reblur")}
        total = sum({"reblur": 0.5}.get(name, 1) * value for name, value in terms.items())
        assert float(row["train/loss"]) == pytest.approx(total, rel=1e-4)
    rates = [float(row["lr-RAdam"]) for row in rows(folder) if row["lr-RAdam"]]
    assert rates == pytest.approx([1e-4, 1e-4])


def test_ifan_is_trained_for_six_hundred_thousand_steps(composed: Compose, tmp_path: Path) -> None:
    """350 photographs of DPDD; the rate is halved at 500k and 550k steps of 600k."""
    settings = composed(tmp_path, *command("dpdd_ifan"))
    data, optim = settings["data"], settings["optim"]
    steps = 350 * data["repeat"] // data["batch_size"]
    assert settings["trainer"]["max_epochs"] == -(-600_000 // steps)
    rate = instantiate(optim["scheduler"])
    for halving, factor in ((500_000, 0.5), (550_000, 0.25)):
        first = -(-halving // steps)
        assert (rate(first - 1), rate(first)) == (2 * factor, factor)
    assert data["views"]


@pytest.mark.parametrize(("name", "steps", "crops"), [("nafnet", 200_000, 32), ("restormer", 300_000, 16)])
def test_as_many_steps_as_published(name: str, steps: int, crops: int, composed: Compose, tmp_path: Path) -> None:
    settings = composed(tmp_path, *command(f"dpdd_{name}"))
    trainer, data = settings["trainer"], settings["data"]
    assert data["batch_size"] * trainer["accumulate_grad_batches"] == crops
    assert trainer["max_epochs"] == -(-steps * crops // (350 * data["repeat"]))
    optim = {part: instantiate(setting) for part, setting in settings["optim"].items()}
    peak, last = {"nafnet": (1e-3, 1e-7), "restormer": (3e-4, 1e-6)}[name]
    assert [peak * optim["scheduler"](epoch) for epoch in (0, trainer["max_epochs"])] == pytest.approx(
        [peak, last], rel=1e-2
    )
    if name == "restormer":
        held = trainer["max_epochs"] * 92_000 / 300_000
        assert optim["scheduler"](held - 1) == 1 > optim["scheduler"](held + 1)


def test_the_second_stage_starts_from_the_first_ones_weights(run: Callable[..., Path]) -> None:
    """LFDOF, then DPDD: the checkpoint of the one is where the other starts."""
    few = (*overrides("drbnet"), "trainer.max_epochs=1", "trainer.limit_train_batches=1")
    first = run("lfdof_drbnet", *few) / "checkpoints" / "last.ckpt"
    second = run("dpdd_drbnet", *few, f"backbone.weights={first}") / "checkpoints" / "last.ckpt"
    before, after = (build.read_checkpoint(file)["state_dict"] for file in (first, second))
    assert change(before, after, "backbone.") == pytest.approx(2e-5, rel=0.05)  # Adam's first step, at its rate


def test_a_network_to_start_from_is_asked_for(run: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"backbone\.weights=<file>"):
        run("dpdd_finetune", *overrides("unet"), "flow=gauss_newton")


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Weights of a network with batch normalisation, whose statistics move whenever it is in training mode."""
    torch.manual_seed(3)
    path = tmp_path / "trained.pth"
    torch.save({"state_dict": backbones.create("timm_unet", **BACKBONES["timm_unet"]).network.state_dict()}, path)
    return path


@pytest.mark.filterwarnings("ignore:Checkpoint directory")  # the second stage resumes in the folder of the first
def test_finetuning_moves_the_reblurring_network_first_and_then_both_at_a_tenth(
    run: Callable[..., Path], trained: Path, composed: Compose, tmp_path: Path
) -> None:
    few = ("objective.warmup_epochs=1", "objective.reblur.width=4", "objective.reblur.levels=3", "flow=gauss_newton")
    settings = ("backbone=timm_unet", *overrides("timm_unet"), f"backbone.weights={trained}", *few)
    start = torch.load(trained, weights_only=True)["state_dict"]

    first = run("dpdd_finetune", *settings, "trainer.max_epochs=1")
    after_first = build.read_checkpoint(first / "checkpoints" / "last.ckpt")["state_dict"]
    for key, value in start.items():  # weights and running statistics, bit by bit
        assert torch.equal(value, after_first[f"backbone.network.{key}"]), key
    seed_everything(0, verbose=False)
    fresh = build.module(composed(tmp_path, "experiment=dpdd_finetune", *settings, "data.root=nowhere")).state_dict()
    moved = [
        key for key in fresh if key.startswith("objective.reblur.") and not torch.equal(fresh[key], after_first[key])
    ]
    assert len(moved) == sum(key.startswith("objective.reblur.") for key in fresh)
    losses = [float(row["train/loss/reblur"]) for row in rows(first) if row["train/loss"]]
    assert len(losses) == 4

    # Adam's first step of a parameter is as long as the rate, regardless of its gradient; later ones are near it.
    assert change(fresh, after_first, "objective.reblur.") > 2e-5
    last = first / "checkpoints" / "last.ckpt"
    more = ("trainer.max_epochs=2", "trainer.limit_train_batches=1", f"ckpt_path={last}")
    after_both = build.read_checkpoint(run("dpdd_finetune", *settings, *more) / "checkpoints" / "last.ckpt")[
        "state_dict"
    ]
    assert change(after_first, after_both, "backbone.") == pytest.approx(2e-6, rel=0.05)
    assert 1e-6 < change(after_first, after_both, "objective.reblur.") < 1e-5
    assert any(not torch.equal(after_both[k], after_first[k]) for k in after_first if "running_mean" in k)


def change(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor], part: str) -> float:
    """The largest change of a weight or bias whose name begins with ``part``."""
    names = [name for name in before if name.startswith(part) and name.endswith(("weight", "bias"))]
    return max((after[name] - before[name]).abs().max().item() for name in names)
