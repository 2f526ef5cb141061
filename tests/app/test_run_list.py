from __future__ import annotations

import json
import os
from pathlib import Path

from jdrl_lightning.app.run_list import curves, figures, headline, runs, stages

TABLE = """epoch,stage,step,train/loss,val/gt/psnr
0,,9,0.5,
0,0.0,10,,20.5
1,0.0,19,0.25,
1,1.0,20,nan,21.25
2,1.0,29,0.2"""


def run(root: Path, name: str, written: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(TABLE)
    os.utime(folder / "metrics.csv", (written, written))
    return folder


def test_the_newest_run_comes_first_and_links_are_skipped(tmp_path: Path) -> None:
    outside = run(tmp_path, "outside/secret", 3)
    root = tmp_path / "outputs"
    run(root, "train/old", 1)
    run(root, "train/new", 2)
    (root / "link").symlink_to(outside.parent)
    assert list(runs(root)) == ["train/new", "train/old"]
    assert runs(tmp_path / "nowhere") == {}


def test_curves_leave_out_what_is_not_there_and_the_incomplete_line(tmp_path: Path) -> None:
    folder = run(tmp_path, "run", 1)
    assert curves(folder) == {"train/loss": [(9, 0.5), (19, 0.25)], "val/gt/psnr": [(10, 20.5), (20, 21.25)]}
    assert stages(folder) == [(20, 1)]
    assert curves(tmp_path) == {}


def test_figures_are_the_summary_s_or_the_last_of_the_table(tmp_path: Path) -> None:
    folder = run(tmp_path, "run", 1)
    assert figures(folder) == {"train/loss": 0.25, "val/gt/psnr": 21.25}
    assert headline(folder) == "gt/psnr 21.25 dB"
    (folder / "summary.json").write_text(json.dumps({"metrics": {"val/deformed_gt/psnr": 30.126, "val/gt/ssim": None}}))
    assert figures(folder) == {"val/deformed_gt/psnr": 30.126}
    assert headline(folder) == "deformed_gt/psnr 30.13 dB"
    (folder / "summary.json").write_text('{"metrics": 3')
    assert headline(folder) == "gt/psnr 21.25 dB"
