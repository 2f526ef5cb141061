"""A step with a non-finite or exploding loss changes no weight, and its images are named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from jdrl_lightning import UserError
from jdrl_lightning.build import read_checkpoint
from jdrl_lightning.callbacks.divergence import DivergenceCallback
from jdrl_lightning.module import DeblurringModule

RUN = ("trainer.max_epochs=1", "callbacks.best=null", "callbacks.quality=null",
       "callbacks.blur=null", "callbacks.midway.every_minutes=1e-9")  # fmt: skip
SKIP = "callbacks.divergence.on_divergence=skip"


@pytest.fixture
def corrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """``corrupt(step, change)``: change one step's loss; returns its images and the weights around it."""

    def install(step: int, change: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        original = DeblurringModule.training_step

        def training_step(self: DeblurringModule, batch: Any, batch_idx: int) -> dict[str, Any]:
            output = original(self, batch, batch_idx)
            if self.global_step == step:
                output["loss"] = change(output["loss"])
                seen["names"] = batch.name
                seen["before"] = {key: value.clone() for key, value in self.state_dict().items()}
            if self.global_step == step + 1:
                seen["after"] = {key: value.clone() for key, value in self.state_dict().items()}
            return output

        monkeypatch.setattr(DeblurringModule, "training_step", training_step)
        return seen

    return install


BAD = {
    "nan": lambda loss: loss * float("nan"),
    "infinite": lambda loss: loss * float("inf"),
    "exploding": lambda loss: loss * 1e6,
    "gradient": lambda loss: loss + 0 * (loss - loss.detach()).sqrt(),  # the loss itself is unchanged
}


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_stop_names_the_images_and_keeps_the_last_good_checkpoint(
    change: Callable[[torch.Tensor], torch.Tensor],
    corrupt: Callable[..., Any],
    train: Callable[..., Path],
    tmp_path: Path,
) -> None:
    seen = corrupt(4, change)
    with pytest.raises(UserError) as error:
        train(tmp_path / "run", *RUN)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("epoch 0, step 4: ")
    assert f" on {', '.join(seen['names'])}; lower optim.optimizer.lr" in message
    assert f"{tmp_path / 'run'}/checkpoints/last.ckpt" in message
    kept = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert kept["global_step"] == 4
    assert all(torch.equal(value, seen["before"][key]) for key, value in kept["state_dict"].items())


@pytest.mark.parametrize("change", BAD.values(), ids=BAD.keys())
def test_a_skipped_first_step_changes_no_weight(
    change: Callable[[torch.Tensor], torch.Tensor], corrupt: Callable[..., Any], train: Callable[..., Path],
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """At later steps Adam's momentum would still move the weights."""
    seen = corrupt(0, change)
    run = train(tmp_path / "run", *RUN, SKIP)
    assert all(torch.equal(value, seen["after"][key]) for key, value in seen["before"].items())
    kept = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert kept["global_step"] == 8
    assert all(torch.isfinite(value).all() for value in kept["state_dict"].values())
    (line,) = [record.getMessage() for record in caplog.records if "not finite" in record.getMessage()]
    assert line.endswith(f"on {', '.join(seen['names'])}; skipped")


def test_with_accumulation_all_images_of_the_step_are_named(
    corrupt: Callable[..., Any], train: Callable[..., Path], tmp_path: Path
) -> None:
    corrupt(1, BAD["nan"])
    with pytest.raises(UserError, match=r"epoch 0, step 1: .* on (\d\d, ){7}\d\d; lower"):
        train(tmp_path / "run", *RUN, "trainer.accumulate_grad_batches=4")


def test_deferred_checks_name_the_right_images(monkeypatch: pytest.MonkeyPatch, corrupt: Callable[..., Any],
                                          train: Callable[..., Path], tmp_path: Path) -> None:  # fmt: skip
    """As on a GPU: checked only at the epoch's end, with nothing saved before."""
    monkeypatch.setattr(DivergenceCallback, "on_train_batch_end", lambda *_: None)
    seen = corrupt(2, BAD["nan"])
    with pytest.raises(UserError) as error:
        train(tmp_path / "run", *RUN, "callbacks.midway=null")
    assert str(error.value).startswith("epoch 0, step 2: ")
    assert f" on {', '.join(seen['names'])}; " in str(error.value)
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_skipping_stops_after_20_consecutive_steps(train: Callable[..., Path], tmp_path: Path) -> None:
    settings = ("trainer.max_epochs=9", SKIP, "+callbacks.divergence.max_loss=1e-9")
    with pytest.raises(UserError, match="the last of 20 consecutive such steps"):
        train(tmp_path / "run", *RUN, *settings)


def test_non_finite_weights_are_never_saved(train: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the weights are not finite"):
        train(tmp_path / "run", *RUN, "optim.optimizer.lr=1e37")
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_settings_are_checked() -> None:
    with pytest.raises(UserError, match="on_divergence='halt' is neither stop nor skip"):
        DivergenceCallback("halt")
    with pytest.raises(UserError, match="max_loss=0"):
        DivergenceCallback(max_loss=0)
