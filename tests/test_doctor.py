"""The doctor names what is missing or wrong, and its verdict on pairs is right where the truth is known."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch.utils.data import Dataset

from conftest import TINY
from jdrl_lightning import UserError, backbones, data, flow
from jdrl_lightning.cli import config as conf
from jdrl_lightning.data.random_crops import TrainingCrops
from jdrl_lightning.diagnosis import components, environment, loading, options, pairs, weights
from jdrl_lightning.io.image import write_image
from jdrl_lightning.metrics import misalignment
from jdrl_lightning.types import Pair

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jdrl_lightning.doctor", *arguments]
    variables = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=200)


@pytest.fixture
def hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    conf.register()
    with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
        yield


def test_the_command_looks_at_everything_and_leaves_nothing(pairs_folder: Path, tmp_path: Path) -> None:
    done = doctor(tmp_path, "data=folder", f"data.root={pairs_folder}", "data.crop=32")
    assert done.returncode == 0, done.stderr
    for word in ("torch", torch.__version__.split("+")[0], "cpu:", "8 of 8, split train", "joint from epoch 15"):
        assert word in done.stdout
    (loads,) = re.findall(r"one process loads \(files read before\)\s+│ (\S+) crops a second", done.stdout)
    (takes,) = re.findall(r"training on cpu \(float32, forward and backward\)\s+│ (\S+) crops a second", done.stdout)
    assert float(loads) > 2 * float(takes) > 0
    assert "Loading keeps up with training: data.num_workers=2 would read about" in done.stdout
    # The folder's sharp pictures are cut one pixel lower.
    (median,) = re.findall(r"displacement, median\s+│ (\S+) px", done.stdout)
    assert float(median) == pytest.approx(1, abs=0.2)
    assert "objective=charbonnier" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_ends_in_one_line_that_names_the_files(tmp_path: Path) -> None:
    (tmp_path / "torn.pth").write_text("not weights")
    done = doctor(tmp_path, "backbone.weights=torn.pth", "flow=pwcnet", "flow.weights=nowhere.pth")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: backbone: weights torn.pth cannot be read")
    assert "flow: weights nowhere.pth do not exist" in line
    assert "missing: nowhere.pth" in done.stdout


def test_reading_is_timed() -> None:
    class Slow(Dataset[Pair]):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Pair:
            time.sleep(0.05)
            image = torch.zeros(3, 40, 40, dtype=torch.uint8)
            return Pair(image, image, str(index), {})

    assert 10 < loading.loaded(TrainingCrops(Slow(), 32, 0), range(6)) <= 20


def test_a_step_is_timed_with_flow_that_was_measured_before(composed: Callable[..., Any], tmp_path: Path) -> None:
    config = composed(tmp_path, *TINY, "data.root=nowhere", "objective=jdrl_robust", "objective.flow_of=picture")
    crop = Pair(torch.rand(3, 32, 32), torch.rand(3, 32, 32), "a", {})
    assert loading.trained(config, [crop, crop], torch.device("cpu")) > 0


@pytest.mark.parametrize(
    ("loads", "takes", "workers", "told"),
    [
        (100, 1, 0, "keeps up with training: it takes 1.0% of the time"),
        (30, 60, 0, "bottleneck: training waits for loading 67% of the time, since data.num_workers=0. Set data.num_w"),
        (60, 20, 0, "Training waits for loading 25% of the time, since data.num_workers=0. Set data.num_workers=1; or"),
        (50, 60, 2, "keeps up with training: data.num_workers=2 would read about 100 crops a second"),
        (50, 190, 2, "bottleneck: data.num_workers=2 would read about 100 crops a second. Set data.num_workers=4; or"),
        (50, 900, 8, "bottleneck: data.num_workers=8 would read about 200 crops a second. 18 cores would have to read"),
    ],
)  # fmt: skip
def test_whether_training_waits_for_reading(
    loads: float, takes: float, workers: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4), raising=False)
    said = loading.verdict(loading.Rates(loads, takes, workers))
    assert told in said
    assert ("prepare pack" in said) == ("keeps up" not in said)
    assert "prepare pack" not in loading.verdict(loading.Rates(loads, takes, workers, packable=False))


def test_lists_and_help(tmp_path: Path) -> None:
    listed = doctor(tmp_path, "list=backbones")
    assert listed.returncode == 0, listed.stderr
    assert "31,033,411 parameters" in " ".join(listed.stdout.split())
    helped = doctor(tmp_path, "--help")
    assert "list=backbones" in helped.stdout
    assert "Override anything" in helped.stdout
    unknown = doctor(tmp_path, "list=bananas")
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "error: list='bananas' is none of backbones, flows, data, objectives, experiments\n",
    )


@pytest.mark.usefixtures("hydra")
def test_every_option_is_listed_with_a_line() -> None:
    for group in options.LISTS.values():
        found = options.described(group)
        files = {path.stem: path for path in (Path(conf.CONF) / group).glob("*.yaml")}
        assert found.keys() == files.keys()
        for name, line in found.items():
            assert line, name
            assert f"# {line}" in files[name].read_text().splitlines()


def test_an_option_that_does_not_compose_is_named(hydra: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(name: str, overrides: list[str]) -> Any:
        if overrides == ["flow=oracle"]:
            raise ValueError("torn\nyaml")
        return compose(name, overrides) if overrides == ["optim=paper"] else None

    monkeypatch.setattr(options, "compose", refuse)
    assert options.broken() == {"flow=oracle": "torn yaml"}


def test_the_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {name: re.split("[><=]", lines[0])[0] for name, lines in project.items() if name != "dev"}
    assert {name: package for name, (package, _) in environment.EXTRAS.items()} == wanted


def test_a_missing_extra_comes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "EXTRAS", {"odd": ("no-such-package-anywhere", "nothing")})
    assert environment.extras() == [("odd", "missing: pip install 'jdrl_lightning[odd]'", "nothing")]
    assert environment.versions()["torch"].startswith(torch.__version__.split("+")[0])


def test_files_of_weights(tmp_path: Path) -> None:
    config = {"backbone": {"weights": None, "encoder_weights": "a", "width": 3}, "flow": {"net": {"path": "b"}}}
    expected = [("backbone.weights", None), ("backbone.encoder_weights", "a"), ("flow.net.path", "b")]
    assert list(weights.settings(config)) == expected
    assert list(weights.settings({"objective": {"schedule": [{"weights": {"align": 1.0}}]}})) == []
    file = tmp_path / "w.pth"
    file.write_bytes(b"abc" * 10**6)
    assert weights.described(file) == (str(file), "3,000,000", sha256(file.read_bytes()).hexdigest())
    assert weights.described(tmp_path / "absent")[0].startswith("missing: ")


def test_parts_are_built_and_their_weights_read(tmp_path: Path) -> None:
    torch.save(backbones.create("unet", width=4).network.state_dict(), tmp_path / "w.pth")
    config = {
        "backbone": {"name": "unet", "width": 4, "weights": str(tmp_path / "w.pth")},
        "flow": {"name": "banana"},
        "objective": {"name": "l1"},
    }
    found = components.tried(config)
    assert "46 tensors read" in str(found["backbone"])
    assert isinstance(found["flow"], UserError)
    assert found["objective"] == "l1: supervised from epoch 0"


def look(samples: list[Pair]) -> misalignment.Summary:
    estimator = flow.create("gauss_newton")
    return misalignment.summary([misalignment.motion(pair, estimator, CPU) for pair in samples])


def rendered(kind: str) -> list[Pair]:
    settings = {"frames_per_photo": {"val": 1}, "frame": 144, "misalignment": kind}
    found = data.create("leaves", split="val", seed=0, crop=64, **settings)
    return [found[index] for index in misalignment.spread(len(found), 5)]


def test_the_verdict_is_right_where_the_truth_is_known() -> None:
    for kind, word in (("none", "line up"), ("random", "One affine map"), ("nonrigid", "JDRL is what")):
        samples = rendered(kind)
        found = look(samples)
        assert word in pairs.verdict(found), kind
        truth = torch.cat([pair.extras["flow"].norm(dim=0).flatten() for pair in samples])
        assert found.median_px == pytest.approx(float(truth.median()), abs=0.2)
        assert found.p95_px == pytest.approx(float(truth.quantile(0.95)), abs=0.4)


def test_strangers_are_not_taken_for_pairs() -> None:
    samples = rendered("none")
    strangers = [one._replace(sharp=other.sharp) for one, other in zip(samples, samples[1:] + samples[:1], strict=True)]
    found = look(strangers)
    assert len(found.unlike) >= 4
    assert "check which files are partners" in pairs.verdict(found)


def test_zoom_and_shift_are_those_of_the_pair(photo: torch.Tensor) -> None:
    wide = photo[None, :, 100:356, 100:356].float() / 255
    zoomed = torch.nn.functional.interpolate(wide, scale_factor=1.03, mode="bicubic", align_corners=False)
    start = (zoomed.shape[-1] - 256) // 2
    sharp = zoomed[..., start : start + 256, start - 3 : start + 253].clamp(0, 1)
    one = misalignment.motion(Pair(wide[0], sharp[0], "zoomed", {}), flow.create("gauss_newton"), CPU)
    assert one.zoom == pytest.approx(0.03, abs=0.004)
    centre = 128 * 1.03 - 0.5 - start - 127.5  # where the zoom took the picture's centre; then 3 px to the right
    assert one.shift_px == pytest.approx(math.hypot(centre + 3, centre), abs=0.1)


def test_pairs_are_spread_evenly() -> None:
    assert misalignment.spread(100, 4) == [0, 25, 50, 75]
    assert misalignment.spread(3, 32) == [0, 1, 2]


def test_wide_images_of_sixteen_bits(tmp_path: Path, photo: torch.Tensor) -> None:
    for kind in ("blur", "gt"):
        (tmp_path / kind).mkdir()
        for index in range(2):
            deep = photo[:, index : 64 + index, :96].to(torch.int32) * 257
            write_image(tmp_path / kind / f"{index}.png", deep.to(torch.uint16))
    found = data.create("folder", split="val", seed=0, crop=None, root=tmp_path)
    assert look([found[0]]).median_px < 0.01
