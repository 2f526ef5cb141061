"""The names of the user's folders, and what is said of others."""

from __future__ import annotations

from pathlib import Path

import pytest

import trees
from jdrl_lightning import UserError
from jdrl_lightning.data.pair_folders import both_sides, own_splits, published_hint, split_folder
from jdrl_lightning.data.pairs import FolderPairs


def fill(root: Path, *folders: str) -> Path:
    for folder in folders:
        trees.picture(root / folder / "a.png", 1)
    return root


def error_message(root: Path) -> str:
    with pytest.raises(UserError) as raised:
        both_sides(split_folder(root, "train")[0])
    line = str(raised.value)
    assert "\n" not in line
    assert line.startswith(str(root))
    return line.removeprefix(str(root))


@pytest.mark.parametrize(
    ("blurry", "sharp"), [("blur", "gt"), ("Blurry", "Sharp"), ("INPUT", "target"), ("LQ", "HQ"), ("source", "GT")]
)
@pytest.mark.parametrize("split", ["", "train"])
def test_the_names_that_people_use(tmp_path: Path, split: str, blurry: str, sharp: str) -> None:
    fill(tmp_path / split, blurry, sharp, "masks", ".hidden")
    folder, flat = split_folder(tmp_path, "train")
    assert (folder, flat) == (tmp_path / split, not split)
    assert both_sides(folder) == ([folder / blurry / "a.png"], [folder / sharp / "a.png"])


def test_two_folders_for_one_side(tmp_path: Path) -> None:
    fill(tmp_path, "Input", "gt", "LQ")
    assert error_message(tmp_path) == ": Input/ and LQ/ are names for the same side of the pairs; keep one of them here"


def test_the_documented_names_win(tmp_path: Path) -> None:
    fill(tmp_path, "blur", "gt", "LQ", "target")
    assert both_sides(tmp_path) == ([tmp_path / "blur" / "a.png"], [tmp_path / "gt" / "a.png"])


def test_a_message_has_what_was_found(tmp_path: Path) -> None:
    assert error_message(tmp_path).endswith("or blur/ and gt/; found no subfolders")
    fill(tmp_path, "in", "out")
    assert error_message(tmp_path).endswith("or blur/ and gt/; found in/, out/")
    fill(tmp_path, "lq")
    assert error_message(tmp_path) == (
        "/gt: no such folder; put the blurry images into blur/ and the sharp ones into gt/; found in/, lq/, out/"
    )


def test_own_splits(tmp_path: Path) -> None:
    assert own_splits(fill(tmp_path, "blur", "gt")) == ("train", "val")
    (tmp_path / "pairs.csv").write_text("blurry,sharp,split\nblur/a.png,gt/a.png,test\n")
    assert own_splits(tmp_path, "pairs.csv") == ("test",)
    assert own_splits(fill(tmp_path, "test/blur", "train/blur")) == ("train", "test")


@pytest.mark.parametrize(
    ("name", "folders"),
    [
        ("dpdd", ("train_c/source", "train_c/target", "test_c/source")),
        ("dpdd", ("train/inputC", "train/target")),
        ("dpdd", ("train/inputC_crops", "train/target_crops")),
        ("sdd", ("train_patches/blur", "train_patches/gt", "test/blur", "test/gt")),
        ("lfdof", ("train/input", "train/ground_truth")),
        ("lfdof", ("train_data/input", "train_data/ground_truth")),
        ("pixeldp", ("test_c/source",)),
        ("pixeldp", ("test_c",)),
    ],
)
def test_published_trees_are_recognised(tmp_path: Path, name: str, folders: tuple[str, ...]) -> None:
    tree = fill(tmp_path / "sets" / "tree", *folders)
    for root in (tree, tree.parent):
        with pytest.raises(UserError, match=f"(?i)^{root}: looks like {name}, so set data={name} \\(") as raised:
            FolderPairs(root, "train")
        assert "\n" not in str(raised.value)
    assert f"set data={name}" in str(published_hint(tree / Path(folders[0]).parts[0]))
    (tree / "mine").mkdir()
    assert published_hint(tree / "mine") is None


@pytest.mark.parametrize("name", ["RealDOF", "realdof_test"])
def test_realdof_is_recognised_by_its_name(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Where partners have the same name, it is read as one's own pairs, with a line; otherwise it is an error."""
    tree = fill(tmp_path / name, "source", "target")
    for file in list(tree.rglob("a.png")):
        file.with_name("b.png").write_bytes(file.read_bytes())
    assert len(FolderPairs(tree, "train")) == len(FolderPairs(tree, "val")) == 1
    lines = [line for line in caplog.messages if "looks like" in line]
    assert lines == [f"{tree}: looks like RealDOF, so set data=realdof, unless these are pairs of your own"]
    (tree / "target" / "b.png").rename(tree / "target" / "c.png")
    for root in (tree, tmp_path):
        with pytest.raises(UserError, match=f"^{root}: looks like RealDOF, so set data=realdof "):
            FolderPairs(root, "train")
    assert published_hint(fill(tmp_path / "mine", "source", "target")) is None


def test_a_part_of_dpdd_is_recognised_where_names_differ(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looks like DPDD, so set data=dpdd"):
        FolderPairs(trees.dpdd(tmp_path) / "train_c")


def test_what_can_be_read_is_read(tmp_path: Path) -> None:
    fill(tmp_path, "train_patches/blur", "train_patches/gt", "test/blur", "test/gt")
    assert len(FolderPairs(tmp_path, "test")) == 1
