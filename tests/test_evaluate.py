"""The evaluate command on files: its figures, the files it writes, what it refuses."""

from __future__ import annotations

import csv
import json
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hydra.core.global_hydra import GlobalHydra
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jdrl_lightning import build, classical, evaluate
from jdrl_lightning.classical.dmenet import DMENet, radius_to_map
from jdrl_lightning.io.image import read_image, read_picture, write_image
from jdrl_lightning.metrics import lpips
from jdrl_lightning.types import to_float

Evaluate = Callable[..., Path]
Refused = Callable[..., str]
WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
LEFT = ["contact_sheet.png", "histograms.png", "per_image.csv", "summary.json", "table.md", "table.tex"]


@pytest.fixture
def checkpoint(trained: dict[str, Path], train: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny training's, with averaged weights, trained once."""
    if "path" not in trained:
        settings = ("trainer.max_epochs=1", "optim.optimizer.lr=1e-3", "callbacks=ema", "callbacks.best=null")
        trained["path"] = train(tmp_path_factory.mktemp("trained") / "run", *settings) / "checkpoints" / "last.ckpt"
    return trained["path"]


@pytest.fixture
def main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """``main(*arguments)``: the command, in this process and an empty folder, which holds no weights for LPIPS."""
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level

    def run(*arguments: str) -> None:
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["evaluate", *arguments, "device=cpu"])
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        evaluate.main()

    yield run
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture
def evaluated(main: Callable[..., None], tmp_path: Path) -> Evaluate:
    """``evaluated(name, *arguments)``: an evaluation's output folder."""

    def run(name: str, *arguments: str) -> Path:
        main(*arguments, f"output={name}")
        return tmp_path / name.strip("'")

    return run


@pytest.fixture
def refused(main: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> Refused:
    """``refused(*arguments)``: the one-line error that the command exits with."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(*arguments)
        assert ended.value.code == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ")
        return line

    return run


def rows(output: Path, method: str = "restored") -> list[dict[str, str]]:
    with (output / "per_image.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["method"] == method]


def summary(output: Path) -> dict[str, Any]:
    return json.loads((output / "summary.json").read_text())


def notes(output: Path) -> str:
    return "\n".join(summary(output)["notes"])


def pixels(path: Path) -> np.ndarray:
    return to_float(read_image(path)).permute(1, 2, 0).double().numpy()


def test_the_figures_are_those_of_scikit_image(
    checkpoint: Path, pairs_folder: Path, evaluated: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    output = evaluated("measured", f"ckpt_path={checkpoint}")
    assert sorted(path.name for path in output.iterdir()) == sorted([*LEFT, "restored"])
    means = summary(output)
    module = build.from_checkpoint(checkpoint)
    found = rows(output)
    for row in found:
        blurry, sharp = (pairs_folder / "test" / kind / f"{row['name']}.png" for kind in ("blur", "gt"))
        restored = module(to_float(read_image(blurry))[None])[0].detach().permute(1, 2, 0).double().numpy()
        psnr = peak_signal_noise_ratio(pixels(sharp), restored, data_range=1)
        assert float(row["gt/psnr"]) == pytest.approx(psnr, abs=1e-3)
        ssim = structural_similarity(pixels(sharp), restored, channel_axis=-1, data_range=1)
        assert float(row["gt/ssim"]) == pytest.approx(ssim, abs=1e-5)
        assert float(row["gt/mae"]) == pytest.approx(np.abs(pixels(sharp) - restored).mean(), abs=1e-6)
        assert np.abs(pixels(output / "restored" / f"{row['name']}.png") - restored).max() <= 0.5 / 255 + 1e-6
    assert means["restored"]["gt/psnr"] == pytest.approx(np.mean([float(row["gt/psnr"]) for row in found]))
    assert [row["placement/rms"] for row in rows(output, "input")] == ["0.0", "0.0"]

    table = (output / "table.md").read_text()
    assert table in capsys.readouterr().out
    for word in ("| restored | ", f"{means['restored']['gt/psnr']:.2f}", "placement/rms", *means["notes"]):
        assert word in table
    assert means["protocol"] == {
        "crop": "none", "warp": "bicubic", "ssim": "uniform", "round": False, "flow": {"name": "tvl1"}
    }  # fmt: skip
    assert (means["title"], means["method"], means["trained_with_flow"]) == ("measured", "checkpoint", "gauss_newton")
    assert "flow=tvl1; the training used flow=gauss_newton" in notes(output)
    assert "averaged weights (EMA); the raw ones" in notes(output)
    assert "less precise" in notes(output)
    assert "extended by reflection to multiples of 16 px" in notes(output)


def test_lpips_is_empty_and_says_why_or_is_measured(
    checkpoint: Path, pairs_folder: Path, evaluated: Evaluate, tmp_path: Path
) -> None:
    trunk = torchvision.models.AlexNet().features.state_dict()
    torch.save({f"features.{key}": value for key, value in trunk.items()}, tmp_path / "trunk.pth")
    without = evaluated("without", f"ckpt_path={checkpoint}", "save_images=false", "flow=none")
    assert {row["gt/lpips"] for row in rows(without)} == {""}
    assert summary(without)["restored"]["deformed_gt/lpips"] is None
    assert "LPIPS is left out" in notes(without)
    assert re.search(r"^restored & [\d.]+ & [\d.]+ & [\d.]+ & -- & ", (without / "table.tex").read_text(), re.M)
    assert not (without / "restored").exists()
    whole = evaluated("whole", f"ckpt_path={checkpoint}", "lpips_weights=trunk.pth", "flow=none")
    assert "LPIPS is left out" not in notes(whole)
    assert list(rows(whole)[0]) == list(rows(without)[0])
    row = rows(whole)[0]
    blurry, sharp = (to_float(read_image(pairs_folder / "test" / k / f"{row['name']}.png")) for k in ("blur", "gt"))
    restored = build.from_checkpoint(checkpoint)(blurry[None]).detach()
    expected = lpips(restored, sharp[None], tmp_path / "trunk.pth")
    assert float(row["gt/lpips"]) == pytest.approx(float(expected), abs=1e-5)


def test_published_protocols(checkpoint: Path, pairs_folder: Path, evaluated: Evaluate) -> None:
    """Cut first and restored then, as published; the sides of 48×40 are no multiples of 32, those of the cut are."""
    settings = ("crop=top_left_16", "warp=legacy", "ssim=gaussian", "round=true", "flow=gauss_newton")
    output = evaluated("published", f"ckpt_path={checkpoint}", *settings)
    module = build.from_checkpoint(checkpoint)
    for row in rows(output):
        blurry, sharp = (pairs_folder / "test" / kind / f"{row['name']}.png" for kind in ("blur", "gt"))
        cut = to_float(read_image(blurry))[None, :, :48, :32]
        restored = (module(cut)[0].detach() * 255).round().permute(1, 2, 0).double().numpy() / 255
        psnr = peak_signal_noise_ratio(pixels(sharp)[:48, :32], restored, data_range=1)
        assert float(row["gt/psnr"]) == pytest.approx(psnr, abs=1e-3)
        ssim = structural_similarity(pixels(sharp)[:48, :32], restored, channel_axis=-1, data_range=1, **WANG)
        assert float(row["gt/ssim"]) == pytest.approx(ssim, abs=1e-5)
    assert Image.open(output / "restored" / f"{row['name']}.png").size == (32, 48)
    for word in (
        "crop=top_left_16",
        "gaussian window",
        "rounded to 8 bits",
        "(legacy)",
        "WHICH THE METHOD WAS TRAINED",
    ):
        assert word in notes(output)


def test_a_network_and_its_weights_and_its_images_are_one(
    checkpoint: Path, pairs_folder: Path, evaluated: Evaluate, tmp_path: Path
) -> None:
    folder = ("data=folder", f"data.root={pairs_folder}", "split=val", "flow=none")
    whole = evaluated("whole", f"ckpt_path={checkpoint}", *folder)
    module = build.from_checkpoint(checkpoint)
    torch.save({"G_state_dict": module.backbone.network.state_dict()}, tmp_path / "published.pth")
    width = ("backbone=unet_small", "backbone.width=4", "backbone.weights=published.pth")
    weights = evaluated("weights", *width, *folder)
    assert [row["gt/psnr"] for row in rows(weights)] == [row["gt/psnr"] for row in rows(whole)]
    assert "published.pth: backbone=unet; licence: " in notes(weights)
    images = evaluated("their images", "restored=whole/restored", *folder)
    assert not (images / "restored").exists()
    for row in rows(images):
        sharp, restored = pairs_folder / "val" / "gt" / f"{row['name']}.png", whole / "restored" / f"{row['name']}.png"
        psnr = peak_signal_noise_ratio(pixels(sharp), pixels(restored), data_range=1)
        assert float(row["gt/psnr"]) == pytest.approx(psnr, abs=1e-3)
    nothing = evaluated("nothing", "method=identity", *folder)
    assert rows(nothing, "input")[0] | {"method": ""} == rows(nothing)[0] | {"method": ""}
    assert {summary(output)["digest"] for output in (whole, weights, images, nothing)} == {summary(whole)["digest"]}
    # Cut images are accepted, and whole ones are cut.
    (tmp_path / "cut").mkdir()
    for row in rows(images):
        restored = read_image(whole / "restored" / f"{row['name']}.png")
        write_image(tmp_path / "cut" / f"{row['name']}.tif", restored[:, :48, :32].contiguous())
    cut = [
        evaluated(f"as {name}", f"restored={name}", *folder, "crop=top_left_16") for name in ("cut", "whole/restored")
    ]
    assert [row["gt/psnr"] for row in rows(cut[0])] == [row["gt/psnr"] for row in rows(cut[1])]


def test_rendered_pairs_know_the_truth_and_deep_ones_stay_deep(
    evaluated: Evaluate, checkpoint: Path, pairs_folder: Path, tmp_path: Path
) -> None:
    rendered = ("data=photos_smoke", "data.frame=64", "flow=gauss_newton", "split=val")
    output = evaluated("rendered", "method=identity", *rendered)
    oracle = evaluated("oracle", "method=oracle_map", *rendered)
    psnr = [float(np.mean([float(row["aligned/psnr"]) for row in rows(made)])) for made in (output, oracle)]
    assert psnr[1] > psnr[0]
    for name in ("ebdb", "jnb"):
        estimated = rows(evaluated(name, f"method={name}", *rendered))
        assert np.mean([float(row["aligned/psnr"]) for row in estimated]) not in psnr
    other = evaluated("other", "method=identity", *rendered, "seed=1")
    assert summary(other)["digest"] != summary(output)["digest"]

    for kind in ("blur", "gt"):
        for path in (pairs_folder / "test" / kind).iterdir():
            deep = (read_image(path).int() * 257 + 1).clamp_max(65535).to(torch.uint16)
            write_image(tmp_path / "deep" / "test" / kind / f"{path.stem}.tif", deep)
    evaluated("measured", f"ckpt_path={checkpoint}", "data=folder", "data.root=deep", "flow=none")
    restored = [read_picture(path) for path in sorted((tmp_path / "measured" / "restored").iterdir())]
    assert [picture.depth for picture in restored] == [16, 16]
    assert any((picture.image.int() % 257).any() for picture in restored)


def test_dmenet_with_weights_of_a_local_file(evaluated: Evaluate, pairs_folder: Path, tmp_path: Path) -> None:
    """The published size, with a last layer that finds a radius of 2 px everywhere."""
    network = DMENet()
    last = network.estimate[-2]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.constant_(last.bias, float(radius_to_map(torch.tensor(2.0)).logit()))
    torch.save(network.state_dict(), tmp_path / "made_up.pth")
    data = ("data=folder", f"data.root={pairs_folder}", "flow=none")
    output = evaluated("measured", "dmenet_weights=made_up.pth", *data)
    assert (summary(output)["method"], summary(output)["title"]) == ("dmenet", "measured")
    assert "weights made_up.pth" in notes(output)
    deconvolve = classical.create("oracle_map")
    for row in rows(output):
        blurry = to_float(read_image(pairs_folder / "test" / "blur" / f"{row['name']}.png"))[None]
        expected = deconvolve(blurry, torch.full_like(blurry[:, :1], 2.0))
        restored = to_float(read_image(output / "restored" / f"{row['name']}.png"))[None]
        torch.testing.assert_close(restored, expected, rtol=0, atol=0.5 / 255 + 1e-4)
        assert float((restored - blurry).abs().max()) > 0.02


def test_without_sharp_images_nothing_is_made_up(
    evaluated: Evaluate, checkpoint: Path, photo: torch.Tensor, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        write_image(tmp_path / "photographs" / f"{name}.png", photo[:, :40, :48].contiguous())
    output = evaluated("looked at", f"ckpt_path={checkpoint}", "data=cuhk", "data.root=photographs")
    assert sorted(path.name for path in output.iterdir()) == sorted([*LEFT, "restored"])
    assert sorted(path.name for path in (output / "restored").iterdir()) == ["a.png", "b.png"]
    columns = ["method", "name", "placement/rms", "placement/p95", "placement/dx", "placement/dy"]
    assert list(rows(output)[0]) == columns
    assert float(rows(output)[0]["placement/rms"]) > 0
    assert "These data have no sharp images" in notes(output)
    assert "deformed_gt" not in (output / "table.md").read_text()
    assert summary(output)["protocol"]["flow"] is None


def test_comparison(evaluated: Evaluate, main: Callable[..., None], refused: Refused, pairs_folder: Path) -> None:
    mine = ("method=identity", "data=folder", f"data.root={pairs_folder}", "flow=none", "save_images=false")
    first = evaluated("'my runs/first'", *mine)
    second = evaluated("second", *mine, "title='a_b & c'")
    main("compare=[my runs/first,second]", "output=both")
    content = json.loads((second.parent / "both" / "comparison.json").read_text())
    assert [run["name"] for run in content["runs"]] == ["input", "first", "a_b & c"]
    assert content["runs"][1]["means"]["gt/psnr"]["mean"] == pytest.approx(summary(first)["restored"]["gt/psnr"])
    assert content["runs"][2]["differences"]["gt/psnr"]["mean"] == 0
    assert "comparison.md: exists" in refused("compare=[my runs/first,second]", "output=both")


def test_runs_that_cannot_be_compared(evaluated: Evaluate, refused: Refused, pairs_folder: Path) -> None:
    mine = ("method=identity", "data=folder", f"data.root={pairs_folder}", "save_images=false", "crop=center_8")
    evaluated("one", *mine, "flow=none")
    evaluated("other flow", *mine, "flow=gauss_newton")
    assert "measured with flow=gauss_newton, one with flow=none; evaluate" in refused("compare=[one,other flow]")
    evaluated("val", *mine, "split=val", "flow=none")
    assert re.search(r"val and one: other images, only one has \d+ and 3 more", refused("compare=[one,val]"))
    assert "absent/per_image.csv: no such file" in refused("compare=[one,absent]")
    for few in ("compare=[one]", "compare=one", "compare=[]"):
        assert "two or more output folders" in refused(few)
    assert "leave ckpt_path out" in refused("compare=[one,val]", "ckpt_path=x")


def test_nothing_is_overwritten_without_overwrite(evaluated: Evaluate, refused: Refused, pairs_folder: Path) -> None:
    mine = ("method=identity", "data=folder", f"data.root={pairs_folder}", "flow=none")
    output = evaluated("measured", *mine)
    assert "measured/per_image.csv: exists already" in refused(*mine, "output=measured")
    (output / "per_image.csv").unlink()
    assert "measured/summary.json: exists already" in refused(*mine, "output=measured")
    evaluated("measured", *mine, "overwrite=true")
    assert rows(output)
    (output.parent / "file").write_text("mine")
    assert "file: is a file; give output=<folder>" in refused(*mine, "output=file", "overwrite=true")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "ckpt_path=<run folder>/checkpoints/best.ckpt"),
        ("ckpt_path=absent.ckpt", "absent.ckpt: no such checkpoint"),
        ("ckpt_path=x split=train", "split='train' is not one of val, test"),
        ("ckpt_path=x crop=half", "crop='half' is not one of none, top_left_16, top_left_8, center_8"),
        ("ckpt_path=x warp=exact", "warp='exact' is not one of bicubic, bilinear, legacy"),
        ("ckpt_path=x ssim=box", "ssim='box' is not one of uniform, gaussian"),
        ("ckpt_path=x round=8", "round=8 is neither true nor false"),
        ("ckpt_path=x restored=y", "give one of"),
        ("method=folder ckpt_path=x", "method=folder needs restored="),
        ("method=identity ckpt_path=x", "ckpt_path=… is of method=checkpoint, not of method=identity"),
        ("rank=absent", "absent/sweep.csv: no such file"),
        ("sweep=absent", "absent/sweep.csv: no such file"),
        ("rank=absent method=identity", "rank=… reads what was measured"),
        (
            "method=magic",
            "unknown method 'magic'; known: checkpoint, weights, folder, identity, ebdb, jnb, dmenet, oracle_map",
        ),
        ("backbone=unet_small", "needs backbone.weights=<file>: without it unet is untrained"),
        ("backbone=unet_small backbone.weights=absent.pth", "absent.pth"),
        ("method=dmenet", "method=dmenet needs dmenet_weights=<file>"),
        ("method=ebdb dmenet_weights=x", "dmenet_weights=… is of method=dmenet, not of method=ebdb"),
        ("dmenet_weights=absent.npz", "weights absent.npz do not exist"),
        ("method=identity", "which pairs? give data=folder"),
        ("method=identity data=folder", "data.root is missing"),
        ("method=identity data=folder data.root=tiny seed=x", "seed='x' is not a whole number"),
        ("method=identity data=folder data.root=tiny flow=oracle", "flow=oracle does not look at images"),
        ("method=identity data=folder data.root=tiny lpips_weights=absent.pth", "absent.pth"),
        ("method=identity data=folder data.root=tiny", "a cannot be measured: SSIM needs at least 7×7 pixels"),
        ("method=identity data=folder data.root=tiny crop=top_left_16", "leaves nothing of 6×9 pixels"),
        ("restored=absent data=folder data.root=tiny", "absent: no such folder"),
        ("restored=tiny/test data=folder data.root=tiny", "tiny/test/a.png: no such image (nor of 1 more)"),
        ("method=identity data=folder data.root=absent", "absent: no such folder"),
        ("method=oracle_map data=folder data.root=tiny", "method=oracle_map needs pairs that carry their true defocus"),
    ],
)
def test_mistakes(arguments: str, words: str, refused: Refused, tmp_path: Path) -> None:
    if "data.root=tiny" in arguments:
        for kind in ("blur", "gt"):
            for name in ("a", "b"):
                path = tmp_path / "tiny" / "test" / kind / f"{name}.png"
                write_image(path, torch.zeros(3, 6, 9, dtype=torch.uint8))
    assert words in refused(*arguments.split())


def test_restored_images_of_another_size(refused: Refused, pairs_folder: Path, tmp_path: Path) -> None:
    mine = ("restored=theirs", "data=folder", f"data.root={pairs_folder}")
    shutil.copytree(pairs_folder / "test" / "blur", tmp_path / "theirs")
    name = sorted(path.stem for path in (tmp_path / "theirs").iterdir())[1]
    write_image(tmp_path / "theirs" / f"{name}.png", torch.zeros(3, 50, 40, dtype=torch.uint8))
    assert f"{name}.png: 40x50 pixels, but {name} has 40x48" in refused(*mine)
    write_image(tmp_path / "theirs" / f"{name}.tif", torch.zeros(3, 48, 40, dtype=torch.uint8))
    assert "have the same name; remove one of them" in refused(*mine)
