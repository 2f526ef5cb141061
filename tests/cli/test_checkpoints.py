"""What a user may call a checkpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.cli.checkpoints import checkpoint_file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: str, age_s: int, names: tuple[str, ...] = ("best", "last"), psnr: float | None = None) -> None:
    for name in names:
        path = Path(folder, "checkpoints", f"{name}.ckpt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1e9 - age_s, 1e9 - age_s))
    if psnr is not None:
        Path(folder, "job.json").write_text(json.dumps({"metrics": {"val/deformed_gt/psnr": psnr, "epoch": 9}}))


def found(given: str, wanted: str = "best") -> str:
    return str(checkpoint_file(given, wanted))


@pytest.mark.usefixtures("place")
def test_a_file_latest_and_a_runs_folder() -> None:
    run("outputs/default/first", 30)
    run("outputs/mine/second", 20, ("last",))
    run("multirun/lam/noon/0", 40)
    assert found("outputs/default/first/checkpoints/last.ckpt") == "outputs/default/first/checkpoints/last.ckpt"
    assert found("latest") == "outputs/mine/second/checkpoints/last.ckpt"
    for given in ("outputs/default/first", "outputs/default/first/", "first", "default", "default/first"):
        assert found(given) == "outputs/default/first/checkpoints/best.ckpt"
        assert found(given, "last") == "outputs/default/first/checkpoints/last.ckpt"


@pytest.mark.usefixtures("place")
def test_the_newest_of_several_runs_and_the_best_job_of_a_sweep() -> None:
    for number, (age, psnr) in enumerate([(30, 24.0), (20, 26.0), (10, 25.0)]):
        run(f"multirun/lam/noon/{number}", age, psnr=psnr)
        run(f"outputs/default/{number}", age)
    assert found("default") == "outputs/default/2/checkpoints/best.ckpt"
    for given in ("multirun/lam/noon", "noon", "lam/noon"):
        assert found(given) == "multirun/lam/noon/1/checkpoints/best.ckpt"
        assert found(given, "last") == "multirun/lam/noon/2/checkpoints/last.ckpt"
    assert found("multirun/lam/noon/0") == "multirun/lam/noon/0/checkpoints/best.ckpt"
    Path("multirun/lam/noon/1/job.json").write_text("{")
    assert found("noon") == "multirun/lam/noon/2/checkpoints/best.ckpt"


def test_a_missing_one_lists_what_is_there(place: Path) -> None:
    with pytest.raises(UserError, match=r"^nowhere: no such checkpoint; no run under outputs/ or multirun/ has one"):
        found("nowhere")
    run("outputs/default/first", 30)
    (place / "outputs" / "empty").mkdir()
    for given in ("nowhere", "outputs/empty", str(place / "elsewhere"), "absent.ckpt", "first*"):
        with pytest.raises(
            UserError, match=r"there are outputs/default/first/checkpoints/best\.ckpt; .*latest"
        ) as error:
            found(given)
        assert "\n" not in str(error.value)
