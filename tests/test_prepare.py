"""The command and its three parts, from the arguments to files that a training reads."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import build, prepare
from jdrl_lightning.data.pairs import FolderPairs
from jdrl_lightning.data.storage.pack import PackedPairs
from jdrl_lightning.io.image import header, read_image, write_image
from stacks import rendered

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``run("pack", "key=value", ...)`` in an empty folder; the exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command sets it: undone after the test

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["prepare", *arguments])
        try:
            prepare.main()
        except SystemExit as error:
            return int(error.code or 0)
        return 0

    return call


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


@pytest.fixture
def batches(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> Callable[[Path, str], list[Any]]:
    """``batches(root, store)``: all training and validation batches that a training gets from there."""

    def load(root: Path, store: str) -> list[Any]:
        settings = ("data.crop=32", "data.batch_size=2", "data.repeat=1", "data.num_workers=0")
        config = composed(tmp_path, "data=folder", f"data.root={root}", f"data.store={store}", *settings)
        data = build.datamodule(config)
        data.setup("fit")
        return [*data.train_dataloader(), *data.val_dataloader()]

    return load


@pytest.mark.parametrize("store", ["packed", "litdata"])
def test_a_training_gets_the_same_from_every_store(
    store: str, run: Run, batches: Callable[[Path, str], list[Any]], pairs_folder: Path, tmp_path: Path
) -> None:
    if store == "litdata":
        pytest.importorskip("litdata")
    assert run("pack", f"data.root={pairs_folder}", "output=packed", f"store={store}") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["packed"]
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["test", "train", "val"]
    files, packed = batches(pairs_folder, "files"), batches(tmp_path / "packed", store)
    assert len(files) == len(packed) == 4 + 2
    for one, other in zip(files, packed, strict=True):
        assert one.name == other.name
        assert torch.equal(one.blurry, other.blurry)
        assert torch.equal(one.sharp, other.sharp)


def test_pack_resumes_and_refuses_others(run: Run, pairs_folder: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = ("pack", "output=packed", "splits=train")
    assert run(*arguments, f"data.root={pairs_folder}") == 0
    index = (tmp_path / "packed" / "train" / "index.json").read_bytes()
    assert run(*arguments, f"data.root={pairs_folder}") == 0
    assert (tmp_path / "packed" / "train" / "index.json").read_bytes() == index
    for kind in ("blur", "gt"):
        write_image(tmp_path / "others" / "train" / kind / "a.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    capsys.readouterr()
    assert run(*arguments, "data.root=others") == 1
    assert "packed/train: other pairs are packed here (8 pairs, not 1)" in error_line(capsys)


def test_patches_by_preset_and_by_hand(run: Run, pairs_folder: Path, tmp_path: Path, capsys: Any) -> None:
    assert run("patches", f"data.root={pairs_folder}", "output=cut", "patch=20", "preset=sdd_native") == 0
    printed = capsys.readouterr().out
    # 48×40: stride 16 gives 3 × 3 of which int(2.7) go; stride 19 gives 3 × 3 for validation, and all stay.
    assert len(FolderPairs(tmp_path / "cut", "train")) == 8 * 7
    assert len(FolderPairs(tmp_path / "cut", "val")) == 2 * 9
    assert "train: 56 patches of 8 pairs: cut/train" in printed
    assert not (tmp_path / "cut" / "test").exists()
    there = sorted((tmp_path / "cut").rglob("*.png"))
    for arguments, line in (
        ([], r"cut/train/blur/00_\d.png: exists; give another output=… or overwrite=true"),
        (["overwrite=true", "preset=sdd"], "preset='sdd' is not one of dpdnet, sdd_half, sdd_native"),
        (["overwrite=true", "overlap=2"], r"overlap=2: must lie in \[0, 1\)"),
    ):
        assert run("patches", f"data.root={pairs_folder}", "output=cut", "patch=20", *arguments) == 1
        assert re.fullmatch(f"error: {line}", error_line(capsys))
        assert sorted((tmp_path / "cut").rglob("*.png")) == there
    settings = ["overlap=0", "discard=0.5", "val.discard=0.25", "overwrite=true"]
    assert run("patches", f"data.root={pairs_folder}", "output=cut", "patch=20", *settings) == 0
    assert len(FolderPairs(tmp_path / "cut", "train")) == 8 * 3  # 3 × 2, half of them
    assert len(FolderPairs(tmp_path / "cut", "val")) == 2 * 7  # 9 without int(2.25)


@pytest.fixture
def flat(photo: torch.Tensor, tmp_path: Path) -> Path:
    """Three flat pairs of 16 bits, out by (3, 2) px, and one of two different scenes."""
    root = tmp_path / "flat"
    for number in range(3):
        top, left = 60 + 30 * number, 100
        for kind, dy, dx in (("blur", 0, 0), ("gt", 2, 3)):
            image = photo[:, top + dy : top + dy + 120, left + dx : left + dx + 150].int() * 257
            write_image(root / kind / f"{number}.png", image.to(torch.uint16))
    write_image(root / "blur" / "wrong.png", image.to(torch.uint16))
    write_image(root / "gt" / "wrong.png", photo[:, 360:480, 20:170])
    return root


def test_align_registers_and_reports_what_failed(run: Run, flat: Path, tmp_path: Path, capsys: Any) -> None:
    arguments = ("align", f"data.root={flat}", "output=aligned", "device=cpu")
    assert run(*arguments) == 0
    printed = capsys.readouterr().out
    assert "wrong (too far apart, or hardly the same scene)" in printed
    report = (tmp_path / "aligned" / "report.md").read_text()
    assert report.count("\n| train |") + report.count("\n| val |") == 4  # a flat folder is split, every pair once
    written = {path.stem: path for path in (tmp_path / "aligned").rglob("blur/*")}
    assert sorted(written) == ["0", "1", "2"]
    for path in written.values():
        partner = path.parents[1] / "gt" / path.name
        assert header(path) == header(partner)
        assert header(path).depth == 16
        blurry, sharp = (read_image(file).float() / 65535 for file in (path, partner))
        assert (blurry - sharp).abs().mean() < 0.01
    assert run(*arguments) == 1
    assert error_line(capsys) == "error: aligned/report.md: exists; give another output=… or overwrite=true"
    assert run(*arguments, "overwrite=true") == 0


def test_align_fails_if_nothing_could_be_registered(run: Run, flat: Path, tmp_path: Path, capsys: Any) -> None:
    for number in range(3):
        write_image(flat / "gt" / f"{number}.png", read_image(flat / "gt" / "wrong.png"))
    assert run("align", f"data.root={flat}", "output=aligned", "device=cpu") == 1
    assert error_line(capsys).startswith("error: no pair could be registered, see aligned/report.md; check which files")
    assert not list((tmp_path / "aligned").rglob("*.png"))
    assert run("pack", f"data.root={flat}", "output=packed") == 0
    assert run("align", "data.root=packed", "data.store=packed", "output=o") == 1
    assert error_line(capsys).startswith("error: align works on picture files; give data=folder data.store=files ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("cut", "cut: is not one of patches, pack, align, stack; see --help"),
        ("pack data.root={0}", "output is missing: set output=..."),
        ("pack output=o", "data.root is missing: set data.root=..."),
        ("pack data.root={0} output={0}/o", "output={0}/o and data.root={0} must not contain each other"),
        ("patches data.root={0}/train output={0}", "output={0} and data.root={0}/train must not contain each other"),
        ("pack data.root={0} output=o store=zip", "store='zip' is not one of packed, litdata"),
        ("pack data.root={0} output=o shard_mib=0", "a shard or chunk of 0 MiB: "),
        ("patches data.root={0} output=o", "00: 40x48 pixels are smaller than patch=512; lower patch"),
        ("patches data.root={0} output=o pach=5", "pach: no such setting; did you mean patch? (--help lists all)"),
        ("align data.root={0} output=o splits=banana", "split=banana: must be train, val or test"),
        ("stack input={0}", "output is missing: set output=..."),
        ("stack input={0}/x output=o", "{0}/x: no such folder; set input to a folder of frames, or of such folders"),
        (
            "stack input={0} output=o",
            "{0}: no pictures with names like '*', here or in subfolders; set input or frames",
        ),
        (
            "stack input={0}/train output=o",
            "{0}/train/blur/04.png: too far from its neighbours in the stack, or hardly",
        ),
    ],
)
def test_each_mistake_is_one_line(arguments: str, line: str, run: Run, pairs_folder: Path, capsys: Any) -> None:
    assert run(*arguments.format(pairs_folder).split()) == 1
    assert error_line(capsys).startswith(f"error: {line.format(pairs_folder)}")


def test_stacks_become_pairs_and_a_report(run: Run, photo: torch.Tensor, tmp_path: Path, capsys: Any) -> None:
    for number, frame in enumerate(rendered(photo, (1.0, 1.02)).frames):
        write_image(tmp_path / "stack" / f"frame_{number}.png", frame)
    write_image(tmp_path / "stack" / "other.png", frame[:, :50])
    assert run("stack", "input=stack", "output=pairs", "frames='frame_*'", "reference=first", "register=flow") == 0
    assert "2 pairs of 1 stacks, 0 held out for validation: pairs/report.html" in capsys.readouterr().out
    written = {path.relative_to(tmp_path / "pairs").as_posix() for path in (tmp_path / "pairs").rglob("*.*")}
    assert written == {"pairs.csv", "report.html", "stack/sharp.png", "stack/valid.png", "stack/depth.png"} | {
        f"stack/{kind}/frame_{number}.png" for kind in ("frames", "sharp", "valid") for number in range(2)
    }
    assert run("stack", "input=stack", "output=pairs") == 1
    assert error_line(capsys) == "error: pairs/pairs.csv: exists; give another output=… or overwrite=true"


HELP = """
import contextlib, sys
from jdrl_lightning import prepare
for words in ([], ["--help"], ["patches", "--help"], ["pack", "--help"], ["align", "--help"], ["stack", "--help"]):
    sys.argv = ["prepare", *words]
    print("##", *words)
    with contextlib.suppress(SystemExit):
        prepare.main()
print(sorted({"torch", "lightning", "torchvision", "kornia", "litdata"} & set(sys.modules)))
"""


def test_help_is_instant_and_names_the_four(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120
    )
    nothing, general, patches, pack, align, stack = done.stdout.split("##")[1:]
    assert nothing.partition("\n")[2] == general.partition("\n")[2]
    for word, text in (("patches", patches), ("pack", pack), ("align", align), ("stack", stack)):
        assert f"python -m jdrl_lightning.prepare {word} " in " ".join(general.split())
        assert f"prepare {word}: " in text
        assert text.count(f"python -m jdrl_lightning.prepare {word} ") >= 1
        assert "Override anything below" in text
        assert "output: ???" in text
    assert stack.rstrip().endswith("[]")
    assert not list(tmp_path.iterdir())


def test_of_a_list_the_splits_with_rows_are_packed(run: Run, flat: Path, tmp_path: Path) -> None:
    rows = [f"blur/{name}.png,gt/0.png,{split}" for name, split in (("0", "train"), ("1", "train"))]
    (flat / "list.csv").write_text("\n".join(["blurry,sharp,split", *rows, "blur/2.png,gt/2.png,test"]))
    assert run("pack", f"data.root={flat}", "data.pairs=list.csv", "output=packed") == 0
    assert sorted(path.name for path in (tmp_path / "packed").iterdir()) == ["test", "train"]
    assert len(PackedPairs(tmp_path / "packed", "train")) == 2
