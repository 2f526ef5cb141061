"""Reading earlier evaluations back: files that an evaluation does not write are rejected, and so are unlike runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.earlier_runs import INPUT, PROTOCOL, run_folder
from jdrl_lightning.errors import UserError
from jdrl_lightning.evaluation.load_results import as_given, check_alike, read_run


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return run_folder(tmp_path / "first", INPUT + 1)


def test_a_run_is_read_back(first: Path, tmp_path: Path) -> None:
    run = read_run(first)
    assert (run.name, run.folder, run.images[:2], len(run.images)) == ("first", first, ["00", "01"], 40)
    for method, psnr in (("input", INPUT), ("restored", INPUT + 1)):
        assert run.columns[method].keys() == {"gt/psnr", "placement/rms", "placement/dx"}  # LPIPS is empty
        np.testing.assert_array_equal(run.columns[method]["gt/psnr"], psnr)
    titled = read_run(run_folder(tmp_path / "other", INPUT, "A title"))
    assert titled.name == "A title"
    check_alike([run, titled])


def test_missing_files_are_named(first: Path) -> None:
    for name in ("summary.json", "per_image.csv"):
        (first / name).unlink()
        with pytest.raises(UserError, match=rf"first/{name}: no such file; give compare="):
            read_run(first)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"digest": "e"}, "other pixels or another order; evaluate both"),
        ({"protocol": PROTOCOL | {"crop": "center_8"}}, "with crop=center_8, .*first with crop=none; evaluate one"),
        ({"protocol": PROTOCOL | {"round": True}}, "with round=true, .*first with round=false; evaluate one"),
        (
            {"protocol": PROTOCOL | {"flow": {"name": "pwcnet", "weights": "a.pth, sha256 0a"}}},
            "with flow=pwcnet weights=a.pth, sha256 0a, .*first with flow=tvl1",
        ),
    ],
)
def test_runs_measured_differently(facts: dict[str, Any], message: str, first: Path, tmp_path: Path) -> None:
    other = run_folder(tmp_path / "other", INPUT, **facts)
    with pytest.raises(UserError, match=message) as error:
        check_alike([read_run(first), read_run(other)])
    assert "\n" not in str(error.value)


def test_runs_on_different_images(first: Path, tmp_path: Path) -> None:
    fewer = run_folder(tmp_path / "fewer", INPUT[:38])
    with pytest.raises(UserError, match=r"fewer and .*first: other images, only one has 38 and 1 more$"):
        check_alike([read_run(first), read_run(fewer)])


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"title": "old"}', '{"title": 1, "digest": "d", "protocol": {}}', "\udcff"]
)
def test_invalid_summaries(text: str, first: Path) -> None:
    (first / "summary.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"summary\.json: not a summary that evaluate writes now"):
        read_run(first)


@pytest.mark.parametrize(
    "wrong", ["renamed", "words", "empty", "columns", "short", "long", "twice", "input only", "bytes"]
)
def test_invalid_tables(wrong: str, first: Path) -> None:
    file = first / "per_image.csv"
    text = file.read_text()
    lines = text.splitlines(keepends=True)
    content = {
        "renamed": text.replace("restored", "others"),
        "words": text.replace(",0.1,", ",zero,"),
        "empty": "",
        "columns": "a,b\n1,2\n",
        "short": text[: text.rindex(",")],
        "long": text.rstrip() + ",1\n",
        "twice": text + lines[-2] + lines[-1],
        "input only": "".join(line for line in lines if "restored" not in line),
        "bytes": text.replace("restored", "\udcff"),
    }[wrong]
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match=r"per_image\.csv: not a table that evaluate writes \(.+\); evaluate") as error:
        read_run(first)
    assert "\n" not in str(error.value)


def test_settings_are_written_as_on_the_command_line() -> None:
    assert [as_given(value) for value in (True, None, "none", 3)] == ["true", "null", "none", "3"]
    assert as_given({"iterations": 12, "name": "raft_small"}) == "raft_small iterations=12"
