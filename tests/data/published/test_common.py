"""What the published data sets share: their folders, counts, and the splits they have."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from data.published.opening import error_message
from jdrl_lightning import UserError, build
from jdrl_lightning.data.published.common import check_count, home


@pytest.mark.parametrize("inner", ["", "Set", "set"])
def test_home_is_the_first_folder_with_a_mark(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner / "whole").mkdir(parents=True)
    assert home(tmp_path, ("Set", "set"), ["crops", "whole"], "Set", "a tree") == (tmp_path / inner, "whole")
    (tmp_path / inner / "crops").mkdir()
    assert home(tmp_path, ("Set", "set"), ["crops", "whole"], "Set", "a tree") == (tmp_path / inner, "crops")


def test_a_file_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("a file")
    with pytest.raises(UserError, match=f"^{tmp_path}: Set not found; expected a tree$"):
        home(tmp_path, (), ["whole"], "Set", "a tree")
    with pytest.raises(UserError, match=r"no such folder; set data\.root to the folder of Set: expected a tree$"):
        home(tmp_path / "nowhere", (), ["whole"], "Set", "a tree")


def test_home_may_be_inside_or_above(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sets = tmp_path / "sets"
    (sets / "mine" / "test_c" / "source").mkdir(parents=True)
    (sets / "mine" / "train_c").mkdir()
    (sets / "other").mkdir()
    marks = ["test_c/source"]
    for root in (sets, sets / "mine" / "test_c", sets / "mine" / "train_c"):
        assert home(root, (), marks, "Set", "a tree") == (sets / "mine", marks[0])
        assert caplog.messages[-1] == f"{root}: taking Set from {sets / 'mine'}"
    assert home(sets / "mine", (), marks, "Set", "a tree") == (sets / "mine", marks[0])
    assert len(caplog.messages) == 3
    (sets / "other" / "test_c" / "source").mkdir(parents=True)
    with pytest.raises(UserError, match=f"^{sets}: Set could be {sets}/mine or {sets}/other; set data.root to one"):
        home(sets, (), marks, "Set", "a tree")
    with pytest.raises(UserError, match=f"^{sets}: Set not found; expected a tree; found mine/, other/$"):
        home(sets, (), ["val_c"], "Set", "a tree")


def test_only_another_count_than_the_published_one_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_count(1200, 1200, "pairs", tmp_path)
    assert not caplog.records
    check_count(1199, 1200, "pairs", tmp_path)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{tmp_path}: 1,199 pairs, but the published split has 1,200; metrics")


@pytest.mark.parametrize(
    ("name", "expected"), [("pixeldp", "test_c/source/*.png"), ("cuhk", "<root>/*.jpg or *.png"), ("realdof", "source")]
)
def test_another_layout(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "nowhere"):
        line = error_message(name, root)
        assert str(root) in line
        if name != "cuhk" or not root.exists():
            assert expected in line


@pytest.mark.parametrize("name", ["realdof", "pixeldp", "cuhk"])
def test_training_on_test_sets_is_refused(tmp_path: Path, name: str) -> None:
    for split in ("train", "val"):
        line = error_message(name, tmp_path, split)
        assert f"data={name} is for testing only and has no {split} split: train on another data set" in line
    config = {"data": {"name": name, "root": str(tmp_path), "crop": 8}, "seed": 0}
    with pytest.raises(UserError, match="for testing only"):
        build.datamodule(config).setup("fit")
