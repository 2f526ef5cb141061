"""What ``prepare stack`` wrote, read and trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from jdrl_lightning import UserError, data
from jdrl_lightning.data.stack_pairs import valid_path
from jdrl_lightning.io.image import write_image


@pytest.fixture
def root(photo: torch.Tensor, tmp_path: Path) -> Path:
    """Two stacks of two frames each, 48×56 px; the left third is not valid."""
    rows = ["blurry,sharp,split"]
    for name, split, left in (("a", "train", 100), ("b", "val", 200)):
        sharp = photo[:, 100:148, left : left + 56].contiguous()
        valid = torch.full_like(sharp, 255)
        valid[..., :19] = 0
        write_image(tmp_path / name / "sharp.png", sharp)
        write_image(tmp_path / name / "valid.png", valid, grey=True)
        for number in range(2):
            blurry = torch.nn.functional.avg_pool2d(sharp[None].float(), 3 + 2 * number, 1, 1 + number)[0]
            write_image(tmp_path / name / "frames" / f"{number}.png", blurry.round().byte())
            rows.append(f"{name}/frames/{number}.png,{name}/sharp.png,{split}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows))
    return tmp_path


def test_pairs_carry_their_mask(root: Path) -> None:
    pairs = data.create("stack", split="train", seed=0, crop=32, root=root)
    assert len(pairs) == 2
    valid = pairs[1].to_float().extras["valid"]
    assert valid.shape == (1, 48, 56)
    assert valid[..., :19].sum() == 0
    assert valid[..., 19:].min() == 1
    assert pairs[0].name == "a_frames_0"  # the other stack has a frame 0 too


def test_a_training_step(root: Path, train: Callable[..., Path], tmp_path: Path) -> None:
    run = train(
        tmp_path / "run", "data=stack", f"data.root={root}", "data.num_workers=0", "trainer.max_epochs=1",
        "trainer.limit_train_batches=1", "trainer.limit_val_batches=1",
    )  # fmt: skip
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_where_the_mask_of_a_picture_is() -> None:
    assert valid_path(Path("s/sharp.png")) == Path("s/valid.png")
    assert valid_path(Path("s/sharp/f_1.png")) == Path("s/valid/f_1.png")


def test_each_mistake_is_one_line(root: Path) -> None:
    write_image(root / "a" / "valid.png", torch.zeros(3, 8, 8, dtype=torch.uint8))
    with pytest.raises(UserError, match=r"a/valid\.png: not of the size of .*; repeat prepare stack with overwrite"):
        data.create("stack", split="train", seed=0, crop=32, root=root)
    (root / "b" / "valid.png").unlink()
    with pytest.raises(UserError, match=r"b/valid\.png: no such file"):
        data.create("stack", split="val", seed=0, crop=32, root=root)
    (root / "pairs.csv").unlink()
    with pytest.raises(UserError, match=r"pairs\.csv: no such file; set data.root to the output of prepare stack"):
        data.create("stack", split="train", seed=0, crop=32, root=root)
