"""The benchmark's own arithmetic, and a small run of it."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from jdrl_lightning.data.synthetic.misalignment import preset as displacements
from jdrl_lightning.io.image import write_image

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = (
    "data.frame=64", "data.crop=32", "data.repeat=1", "data.frames_per_photo={train: 1, val: 1, test: 1}",
    "backbone.width=4", "backbone.weights=null", "trainer.max_epochs=1", "trainer.check_val_every_n_epoch=1",
    "data.batch_size=1", "trainer.log_every_n_steps=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def photographs(photo: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small ones, one for each split."""
    root = tmp_path_factory.mktemp("photographs")
    for number in range(3):
        write_image(root / f"{number}.png", photo[:, 100:228, 100 * number : 100 * number + 128].contiguous())
    return root


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import misalignment_table

    return misalignment_table


@pytest.fixture
def script(table: ModuleType) -> Iterator[ModuleType]:
    log = logging.getLogger("jdrl_lightning")
    level = log.level  # the script silences the log; later tests need it
    import misalignment

    yield misalignment
    log.setLevel(level)


def line(table: ModuleType, row: str, case: str, seed: int, photograph: str, psnr: float) -> object:
    preset, px = case.split("_")
    ssim = 0.8 if row == "input" else 0.81
    return table.Line(row, preset, float(px), seed, photograph, psnr, psnr + 1, ssim, 0.1)


@pytest.fixture
def results(table: ModuleType) -> object:
    """Two photographs, seeds 0 and 1, of which only the first has all rows."""
    lines = [
        line(table, "jdrl_robust", "nonrigid_4", 0, "a", 26.0),
        line(table, "jdrl_robust", "nonrigid_4", 0, "b", 30.0),
        line(table, "jdrl_robust", "nonrigid_4", 1, "a", 27.0),
        line(table, "jdrl_robust", "nonrigid_4", 1, "b", 31.0),
        line(table, "prealign", "nonrigid_4", 0, "a", 25.5),
        line(table, "prealign", "nonrigid_4", 0, "b", 31.0),
        line(table, "charbonnier", "nonrigid_4", 0, "a", 24.0),
        line(table, "charbonnier", "nonrigid_4", 0, "b", 27.0),
        line(table, "input", "none_0", 0, "a", 27.0),
        line(table, "input", "none_0", 0, "b", 30.5),
        line(table, "aligned_ceiling", "none_0", 0, "a", 27.5),
        line(table, "aligned_ceiling", "none_0", 0, "b", 31.5),
        line(table, "aligned_ceiling", "none_0", 1, "a", 27.5),
        line(table, "aligned_ceiling", "none_0", 1, "b", 31.5),
    ]
    return table.Results(lines)


def test_a_mean_is_of_the_seeds_that_every_row_has_and_its_interval_over_photographs(
    table: ModuleType, results: object
) -> None:
    case = table.Case("nonrigid", 4.0)
    assert results.seeds(case) == [0]
    assert results.interval("jdrl_robust", case, "psnr") == pytest.approx((28.0, 26.0, 30.0))
    assert results.interval("jdrl_robust", case, "psnr_interior") == pytest.approx((29.0, 27.0, 31.0))


def test_a_difference_is_paired_by_photograph_and_seed(table: ModuleType, results: object) -> None:
    case = table.Case("nonrigid", 4.0)
    assert results.interval("jdrl_robust", case, "psnr", less="prealign") == pytest.approx((-0.25, -1.0, 0.5))
    mean, low, high = results.interval("jdrl_robust", case, "psnr", less="aligned_ceiling")
    assert (mean, low, high) == pytest.approx((-1.0, -1.0, -1.0))  # a: 26.5 − 27.5, b: 30.5 − 31.5


def test_what_is_shared_stands_in_every_case(table: ModuleType, results: object) -> None:
    displaced, none = table.Case("nonrigid", 4.0), table.Case("none", 0.0)
    assert results.mean("input", displaced, "psnr") == results.mean("input", none, "psnr") == pytest.approx(28.75)
    assert results.mean("charbonnier", none, "psnr") == results.mean("aligned_ceiling", none, "psnr")
    assert results.mean("prealign", none, "psnr") is None


def test_wins_ties_and_losses_follow_from_the_interval(table: ModuleType, results: object) -> None:
    seed_0 = [found for found in results.lines.values() if found.seed == 0]
    text = table.verdict_table(table.Results([*seed_0, *(found._replace(seed=1) for found in seed_0)]))
    assert "| jdrl_robust | charbonnier | nonrigid_4 +2.50 | – | – | – |" in text
    assert "| jdrl_robust | prealign | – | nonrigid_4 -0.25 | – | – |" in text
    assert "| jdrl_robust | aligned_ceiling | – | – | nonrigid_4 -1.50 | – |" in text


def test_one_seed_is_no_verdict(table: ModuleType, results: object) -> None:
    text = table.verdict_table(results)
    assert "| jdrl_robust | charbonnier | – | – | – | nonrigid_4 +2.50 |" in text
    assert "| jdrl_robust | aligned_ceiling | – | – | nonrigid_4 -1.00 | – |" in text  # this one has two


def test_seeds_that_disagree_tie(table: ModuleType) -> None:
    """However certain it is that their mean is above 0."""
    case = "nonrigid_4"
    lines = [line(table, "prealign", case, seed, name, 27.0) for seed in (0, 1) for name in "ab"]
    lines += [line(table, "jdrl", case, 0, name, 28.0) for name in "ab"]
    lines += [line(table, "jdrl", case, 1, name, 26.8) for name in "ab"]
    results = table.Results(lines)
    assert results.interval("jdrl", table.Case("nonrigid", 4.0), "psnr", less="prealign")[1] > 0
    assert "| jdrl | prealign | – | nonrigid_4 +0.40 | – | – |" in table.verdict_table(results)


def test_a_curve_is_of_differences_to_the_ceiling_of_the_same_seeds(table: ModuleType) -> None:
    shared = {"input": (27.0, 29.0), "aligned_ceiling": (28.0, 31.0)}
    lines = [line(table, row, "none_0", seed, "a", psnr[seed]) for row, psnr in shared.items() for seed in (0, 1)]
    lines.append(line(table, "jdrl_robust", "nonrigid_4", 0, "a", 28.5))
    figure = importlib.import_module("misalignment_figure")
    drawn = figure.plot(table.Results(lines)).axes[0].lines
    assert [list(curve.get_ydata()) for curve in drawn] == [[-1.5, -1.0], [0.5], [0.0, 0.0]]


def test_trainings_that_learned_nothing_are_named(table: ModuleType) -> None:
    lines = [line(table, row, "none_0", 0, "a", 27.0) for row in ("input", "aligned_ceiling")]
    learned = line(table, "jdrl_robust", "nonrigid_4", 0, "a", 27.0)
    idle = [line(table, "prealign", "nonrigid_4", 0, "a", 27.0), line(table, "jdrl", "none_0", 0, "a", 27.1)]
    idle = [trained._replace(ssim=0.8) for trained in idle]
    assert not table.idle_trainings(table.Results([*lines, learned]))
    listed = "- `prealign`: nonrigid_4 seed 0\n- `jdrl`: none_0 seed 0"
    page = table.markdown(table.Results([*lines, learned, *idle]), "misalignment", "picture.png", "compact")
    assert listed in page
    assert "| prealign | – | 27.00 [27.00, 27.00] † |" in page
    assert "| jdrl_robust | prealign | – | – | – | nonrigid_4 +0.00 † |" in page


def test_few_photographs_are_called_few(table: ModuleType, results: object) -> None:
    page = table.markdown(results, "misalignment", "picture.png", "compact")
    assert "**2 photographs are few**" in page
    assert "| jdrl_robust | – | 28.00 [26.00, 30.00] |" in page
    assert "nan" not in page
    assert "backbone=unet_small" in table.markdown(results, "misalignment", "picture.png", "unet_small")


def test_all_of_a_seed_comes_first_and_what_is_shared_once(script: ModuleType) -> None:
    cases = [str(case) for case in script.CASES]
    found = list(script.trainings(cases, [0, 1], list(script.ROWS)))
    assert [seed for _, seed, _ in found] == sorted(seed for _, seed, _ in found)
    assert len(set(found)) == len(found) == 2 * (2 + 4 * 8 - 1 + 2 * 5)  # charbonnier on none is aligned_ceiling
    assert {str(case) for case, _, row in found if row in script.SHARED} == {"none_0"}
    assert {str(case) for case, _, row in found if row in script.RIVALS} == {"stack_8.6", "nonrigid_8"}


def test_rows_differ_only_in_objective_flow_and_data(script: ModuleType) -> None:
    case = script.Case("stack", 8.6)
    rows = ("prealign", "warp_only", "jdrl_official", "oracle")
    configs = {row: script.composed(row, case, 2, (), Path("run")) for row in rows}
    reference = configs["warp_only"]
    assert reference["data"]["misalignment"] == "stack"
    assert reference["data"]["amplitude"] == pytest.approx(1.0)
    for row, config in configs.items():
        assert {key for key in config if config[key] != reference[key]} <= {"objective", "flow", "data"}, row
        changed = {key for key, value in config["data"].items() if value != reference["data"][key]}
        assert changed == ({"register"} if row == "prealign" else set()), row
        assert config["seed"] == 2
    assert configs["oracle"]["objective"] == reference["objective"] | {"flow": {"name": "oracle"}, "flow_of": "crop"}
    assert reference["objective"]["alpha"] == 0
    assert reference["objective"]["warmup_epochs"] > reference["trainer"]["max_epochs"]
    assert configs["jdrl_official"]["objective"]["warmup_epochs"] < reference["trainer"]["max_epochs"]


@pytest.mark.parametrize("preset", ["nonrigid", "stack"])
def test_an_amplitude_is_the_mean_length_of_the_flow(script: ModuleType, preset: str) -> None:
    """Over frames of 256 px whose surfaces lie at any depth."""
    misalignment = displacements(preset, 8 / script.MEAN_PX[preset])
    rng, lengths = np.random.default_rng(0), []
    x, y = torch.meshgrid(torch.linspace(-128, 128, 17), torch.linspace(-128, 128, 17), indexing="xy")
    for _ in range(400):
        moved = misalignment.draw(rng, rng.uniform(), (256, 256))(x, y, torch.full_like(x, rng.uniform()))
        lengths.append(float(moved.norm(dim=0).mean()))
    assert np.mean(lengths) == pytest.approx(8, rel=0.05)


def test_the_whole_benchmark_on_a_small_scale(
    script: ModuleType, table: ModuleType, photographs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--root", str(photographs), "--folder", str(tmp_path / "parts"), "--csv", str(tmp_path / "all.csv")]
    arguments += ["--figure", str(tmp_path / "images" / "all.png"), "--cases", "nonrigid_4", "--seeds", "0"]
    rows = ["--rows", "input", "jdrl_robust"]
    script.main([*arguments, *rows, "--set", *TINY])
    printed = capsys.readouterr().out
    assert "2 of 2 trainings to go" in printed
    assert "nonrigid_4 seed 0 jdrl_robust" in printed
    assert "0 to go, about 0 min" in printed
    lines = table.read_lines(tmp_path / "all.csv")
    assert {(line.row, line.preset, line.amplitude_px) for line in lines} == {
        ("input", "none", 0.0), ("jdrl_robust", "nonrigid", 4.0)
    }  # fmt: skip
    assert len(lines) == 2 * len({line.photograph for line in lines})
    assert all(5 < line.psnr < 60 and 0 <= line.ssim <= 1 and 0 <= line.placement_px < 5 for line in lines)
    assert "images/all.png" in (tmp_path / "all.md").read_text()

    for part in (tmp_path / "parts").iterdir():
        part.unlink()  # the table is enough to resume from
    script.main([*arguments, *rows, "--set", "data=no_such_set"])  # all is there: nothing is composed, nothing trained
    assert capsys.readouterr().out == "0 of 2 trainings to go\n"
    (tmp_path / "images" / "all.png").unlink()
    script.main([*arguments, "--draw"])
    assert (tmp_path / "images" / "all.png").read_bytes()[:4] == b"\x89PNG"


def test_mistakes_are_reported_in_one_line(script: ModuleType, tmp_path: Path) -> None:
    files = ["--csv", str(tmp_path / "none.csv"), "--folder", str(tmp_path)]
    with pytest.raises(SystemExit, match="no such file"):
        script.main(["--draw", *files])
    with pytest.raises(SystemExit, match="nowhere"):
        script.main(["--root", str(tmp_path / "nowhere"), *files])
    assert "misalignment" in sys.modules
