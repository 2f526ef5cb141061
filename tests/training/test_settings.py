"""Settings refused before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.training import settings

Composed = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("monitor=val/deformed_gt/pnsr", r"^monitor=val/deformed_gt/pnsr: nothing measures it; set val/deformed_gt/"),
        ("monitor=psnr", r"^monitor=psnr: not a measure; set one of val/deformed_gt/psnr, "),
        ("callbacks.quality=null", r"nothing measures it while callbacks\.quality=null; set "),
        ("monitor=val/gt/mae", r"^monitor=val/gt/mae: best is the minimum; set callbacks\.best\.mode=min$"),
        ("callbacks.best.mode=min", r"best is the maximum; set callbacks\.best\.mode=max$"),
        ("trainer.max_epochs=0", r"^trainer\.max_epochs=0 trains nothing"),
        ("trainer.max_epochs=2.5", r"^trainer\.max_epochs=2\.5 is not a whole number"),
        ("trainer.max_epochs=ten", r"^trainer\.max_epochs=ten is not a whole number"),
        ("trainer.accumulate_grad_batches=0", r"^trainer\.accumulate_grad_batches=0 is not a whole number of at least"),
        ("trainer.check_val_every_n_epoch=0", r"^trainer\.check_val_every_n_epoch=0 is not"),
        ("trainer.log_every_n_steps=-1", r"^trainer\.log_every_n_steps=-1 is not"),
        ("trainer.gradient_clip_val=-1", r"^trainer\.gradient_clip_val=-1 is not"),
        ("trainer.limit_val_batches=0", r"^trainer\.limit_val_batches=0 measures nothing: set callbacks\.best=null"),
        ("optim.optimizer.lr=fast", r"^optim\.optimizer\.lr=fast: .* set a number above 0"),
        ("optim.optimizer.lr=0", r"^optim\.optimizer\.lr=0: "),
        ("backbone.weights=absent.pth", r"^weights absent\.pth do not exist"),
        ("backbone.in_channels=6", r"^backbone\.in_channels=6 takes both dual-pixel views: set data\.views=true"),
        ("data=folder data.root=absent", r"^absent: no such folder in .*; set data\.root to the folder of your pairs$"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(overrides: str, message: str, composed: Composed, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        settings.check(composed(tmp_path, *overrides.split()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("overrides", [
    "", "trainer.max_epochs=-1", "trainer.max_epochs=null", "trainer.log_every_n_steps=0", "monitor=val/gt/psnr",
    "monitor=val/deformed_gt/gain", "monitor=train/loss callbacks.best.mode=min", "backbone.weights=builtin",
    "callbacks.quality=null callbacks.best=null", "data=folder data.root=s3://bucket/pairs", "experiment=smoke",
    "monitor=val/placement/rms callbacks.best.mode=min", "logger=wandb",
])  # fmt: skip
def test_right_settings_pass(overrides: str, composed: Composed, tmp_path: Path) -> None:
    settings.check(composed(tmp_path, *overrides.split()))


def test_a_file_in_place_of_a_folder_is_named(composed: Composed, tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    with pytest.raises(UserError, match=r"photo\.png: a file, not a folder; set data\.root"):
        settings.check(composed(tmp_path, "data=folder", f"data.root={tmp_path / 'photo.png'}"))


def test_a_missing_logger_is_named(composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = composed(tmp_path, "logger=tensorboard")
    monkeypatch.setattr(settings, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^logger=tensorboard needs a package: pip install 'jdrl_lightning\[tensorb"):
        settings.check(config)
