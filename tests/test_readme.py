"""What the README shows runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

README = Path(__file__).parents[1] / "README.md"
SECTION = "In your own LightningModule"

# Neither Hydra nor our module may be needed.
BLOCKED = "import sys\nsys.modules.update({name: None for name in ('hydra', 'omegaconf', 'jdrl_lightning.module')})\n"


def blocks(section: str) -> list[str]:
    """The Python of a section, one string a block."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", README.read_text(), re.DOTALL | re.MULTILINE)
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def test_the_objective_in_a_module_of_ones_own(pairs_folder: Path, tmp_path: Path) -> None:
    (code,) = blocks(SECTION)
    assert len(code.splitlines()) < 40
    (tmp_path / "my_pairs").symlink_to(pairs_folder)
    (tmp_path / "mine.py").write_text(BLOCKED + code)
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "mine.py"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.rglob("*.ckpt")
    checkpoint = torch.load(path, weights_only=True)
    stage = checkpoint["callbacks"]["StageCallback"]
    assert (stage["stage"], stage["epoch"], checkpoint["global_step"]) == ("joint", 1, 4)
    assert any(key.startswith("objective.reblur.") for key in checkpoint["state_dict"])
