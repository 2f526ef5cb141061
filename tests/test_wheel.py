"""The installed wheel is complete: its commands work from any folder without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from torch import Tensor

from jdrl_lightning.io.image import read_image, write_image

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder of its own; built in a copy, so that the checkout stays clean."""
    work = tmp_path_factory.mktemp("wheel")
    source = work / "source"
    source.mkdir()
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(source)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "site")
    return work / "site"


def run(installed: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=200
    )


def test_the_wheel_holds_the_configuration_and_uses_it(installed: Path, tmp_path: Path) -> None:
    assert (installed / "jdrl_lightning" / "conf" / "train.yaml").is_file()
    for source in ("native/cpp/simd.h", "reblur/cpp/reblur.cpp", "data/synthetic/cpp/render.cpp"):
        assert (installed / "jdrl_lightning" / source).is_file()
    shipped = installed / "jdrl_lightning" / "backbones" / "weights" / "compact.safetensors"
    assert 1e6 < shipped.stat().st_size < 3e6
    plugins = (installed / "hydra_plugins").glob("*.py")
    assert [path.name for path in plugins] == ["jdrl_sweepers.py"]  # an __init__.py would hide other packages' plug-ins
    where = run(installed, tmp_path, "-c", "from jdrl_lightning.cli.config import CONF; print(CONF)")
    assert where.stdout.strip() == str(installed / "jdrl_lightning" / "conf")
    for name in ("train", "evaluate", "predict", "doctor", "start", "copy", "bench"):
        shown = run(installed, tmp_path, "-m", f"jdrl_lightning.{name}", "--help")
        assert shown.returncode == 0, shown.stderr
        assert "Override anything" in shown.stdout


def test_the_wheel_trains_measures_and_restores(installed: Path, photo: Tensor, tmp_path: Path) -> None:
    small = (
        "data=leaves",
        "data.frame=64",
        "data.crop=32",
        "backbone.width=4",
        "objective.reblur.width=4",
        "debug=fast",
    )
    done = run(
        installed, tmp_path, "-m", "jdrl_lightning.train", *small, "data.frames_per_photo={train:1,val:1,test:1}"
    )
    assert done.returncode == 0, done.stderr
    (summary,) = tmp_path.glob("outputs/default/*/summary.json")
    checkpoint = f"ckpt_path={summary.parent / 'checkpoints' / 'last.ckpt'}"

    done = run(installed, tmp_path, "-m", "jdrl_lightning.evaluate", checkpoint, "split=val", "output=measured")
    assert done.returncode == 0, done.stderr
    assert "| restored |" in (tmp_path / "measured" / "table.md").read_text()

    write_image(tmp_path / "photo.png", photo[:, :40, :50].contiguous())
    where = ("input=photo.png", "output=restored", "tile=32", "overlap=8")
    done = run(installed, tmp_path, "-m", "jdrl_lightning.predict", checkpoint, *where)
    assert done.returncode == 0, done.stderr
    assert read_image(tmp_path / "restored" / "photo.png").shape == (3, 40, 50)
