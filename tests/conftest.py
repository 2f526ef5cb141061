"""Small files in the true layout, and runs of the real commands on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from jdrl_lightning.cli import config as conf

TINY = (
    "backbone.width=4",
    "data=folder",
    "data.crop=32",
    "data.batch_size=2",
    "data.repeat=2",
    "objective.reblur.width=4",
    "objective.reblur.levels=3",
    "callbacks.panels.every_n_epochs=0",
    "callbacks.progress=null",
    "trainer.accelerator=cpu",
    "+trainer.enable_progress_bar=false",
    "+trainer.enable_model_summary=false",
    "trainer.log_every_n_steps=1",
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bit-equality needs the same split of work each time, and tiny tensors are fastest without threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def photo() -> torch.Tensor:
    """A real photograph, ``(3, 512, 512)`` uint8."""
    from skimage.data import astronaut

    return torch.from_numpy(astronaut()).permute(2, 0, 1).contiguous()


@pytest.fixture(scope="session")
def pairs_folder(photo: torch.Tensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training, two validation and two test pairs of 48×40 px, the sharp image shifted by a pixel."""
    from torch.nn.functional import avg_pool2d

    from jdrl_lightning.io.image import write_image

    root = tmp_path_factory.mktemp("pairs")
    number = 0
    for split, count in (("train", 8), ("val", 2), ("test", 2)):
        for _ in range(count):
            top, left = 30 * (number % 6) + 100, 60 * (number // 6) + 150
            region = photo[:, top : top + 60, left : left + 60]
            blurry = avg_pool2d(region[None].float(), 5, 1, 2)[0].round().byte()
            for kind, image, shift in (("blur", blurry, 0), ("gt", region, 1)):
                (root / split / kind).mkdir(parents=True, exist_ok=True)
                crop = image[:, 5 + shift : 53 + shift, 5:45].contiguous()
                write_image(root / split / kind / f"{number:02d}.png", crop)
            number += 1
    return root


@pytest.fixture
def composed() -> Callable[..., dict[str, Any]]:
    """``composed(run_dir, *overrides)``: the plain config of a training whose run folder is ``run_dir``."""

    def make(run_dir: Path, *overrides: str) -> dict[str, Any]:
        GlobalHydra.instance().clear()
        conf.register()
        with initialize_config_dir(version_base="1.3", config_dir=conf.CONF):
            return conf.plain(compose("train", [*overrides, f"run_dir={run_dir}"]))

    return make


@pytest.fixture
def train(composed: Callable[..., dict[str, Any]], pairs_folder: Path) -> Callable[..., Path]:
    """``train(run_dir, *overrides)``: a tiny training of the real command's body; returns the run folder."""
    from jdrl_lightning.training.fit import fit

    def run(run_dir: Path, *overrides: str) -> Path:
        fit(composed(run_dir, *TINY, f"data.root={pairs_folder}", *overrides), run_dir)
        return run_dir

    return run


@pytest.fixture(scope="module")
def trained() -> dict[str, Path]:
    """What a file's tests have trained once, by name."""
    return {}
