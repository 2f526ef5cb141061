from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import wandb
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks import offline
from jdrl_lightning import UserError, build
from jdrl_lightning.callbacks.wandb import _Logger, _why_offline, wandb_logger
from jdrl_lightning.metrics import psnr


@pytest.fixture(autouse=True)
def no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user without W&B keys; restores W&B's environment afterwards."""
    for name in ("API_KEY", "IDENTITY_TOKEN_FILE", "MODE", "BASE_URL", "DATA_DIR", "FINISH_TIMEOUT"):
        monkeypatch.setenv(f"WANDB_{name}", "")
        monkeypatch.delenv(f"WANDB_{name}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    yield
    wandb.finish()
    wandb.teardown()


def test_without_a_key_everything_is_logged_offline(
    train: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run = train(
        tmp_path / "run", "logger=wandb", "trainer.max_epochs=1", "callbacks.panels.every_n_epochs=1",
        "callbacks.worst.images=1", "data.num_workers=0",
    )  # fmt: skip
    assert caplog.text.count("no API key found, so the run is logged offline") == 1
    (kept,) = offline.runs(run)
    found = offline.summary(kept)
    assert (found["state"], found["project"], found["name"]) == ("finished", "jdrl_lightning", f"{tmp_path.name}/run")
    assert found["config"]["objective"]["lam"] == 0.35
    assert found["config"]["trainer"]["max_epochs"] == 1
    assert found["config"]["jdrl_lightning"]["git_revision"]
    assert found["summary"].keys() >= offline.SCALARS
    assert len([item for item in offline.records(kept, "history") if "train/loss" in item["item"]]) == 8
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in offline.SCALARS:
        last = [float(row[name]) for row in rows if row[name]][-1]
        assert last == pytest.approx(found["summary"][name], rel=1e-6), name
    assert len(list(kept.glob("files/media/images/panels/*.png"))) == 2

    module = build.from_checkpoint(run / "checkpoints" / "last.ckpt")
    data = build.datamodule(module.config)
    val = [module.on_after_batch_transfer(batch, 0) for batch in (data.setup("validate"), data.val_dataloader())[1]]
    with torch.no_grad():
        restored = [module(pair.blurry) for pair in val]
        radius: Any = module.objective.reblur.blur_radius(restored[0], val[0].blurry)  # type: ignore[union-attr]
    (worst,) = offline.table(kept, "worst")
    by_name = {pair.name[0]: psnr(out.clamp(0, 1), pair.sharp).item() for pair, out in zip(val, restored, strict=True)}
    assert worst["gt/psnr"] == pytest.approx(by_name[worst["name"]], abs=1e-4)
    assert worst["deformed_gt/psnr"] <= found["summary"]["val/deformed_gt/psnr"]
    assert found["summary"]["val/blur/mean_px"] == pytest.approx(radius.mean().item(), rel=1e-4)
    histogram = found["summary"]["val/blur/histogram"]
    assert sum(histogram["values"]) == radius.numel()
    assert histogram["bins"][-1] == pytest.approx(radius.max().item(), rel=1e-4)
    assert (run / "wandb" / "artifacts" / "staging").is_dir()  # files wait for upload here, not in the user's home


@pytest.fixture
def server() -> Iterator[str]:
    """Answers 401 to everything."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(401)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *arguments: Any) -> None:
            pass

    serving = HTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


def test_online_needs_a_key_and_a_reachable_server(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server)
    assert _why_offline() == "no API key found"
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {server.removeprefix('http://')} login user password {'a' * 40}\n")
    netrc.chmod(0o600)
    assert _why_offline() is None
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    assert _why_offline() is None
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert _why_offline() == "WANDB_MODE=offline"
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert _why_offline() == "http://127.0.0.1:9 cannot be reached"
    monkeypatch.setenv("WANDB_BASE_URL", "nonsense")
    with pytest.raises(UserError, match="WANDB_BASE_URL=nonsense"):
        _why_offline()


def test_a_rejected_key_is_an_error_before_training(
    server: str, train: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    with pytest.raises(UserError, match=r"401.*wandb login --relogin") as error:
        train(tmp_path / "run", "logger=wandb", "data.num_workers=0")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("settings", [{}, {"offline": True}], ids=["no key", "offline=true"])
def test_an_upload_is_refused_offline(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="log_model=True needs an online run") as error:
        wandb_logger(str(tmp_path), log_model=True, **settings)
    assert "\n" not in str(error.value)


def test_disabled_stays_disabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    wandb_logger(str(tmp_path)).log_metrics({"loss": 1.0}, step=0)
    assert not list(tmp_path.rglob("*.wandb"))


def test_only_the_best_checkpoint_is_an_artifact(tmp_path: Path) -> None:
    class Model(BoringModel):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("loss", self.step(batch))

    best = ModelCheckpoint(tmp_path, "best", monitor="loss")
    last = ModelCheckpoint(tmp_path, "last", save_on_train_epoch_end=True)
    logger = _Logger(
        save_dir=tmp_path, mode="offline", log_model=True
    )  # which the factory refuses, since offline runs upload nothing
    trainer = L.Trainer(
        max_epochs=2, logger=logger, callbacks=[best, last], accelerator="cpu", limit_train_batches=2,
        limit_val_batches=1, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Model())
    wandb.finish()
    (kept,) = offline.runs(tmp_path)
    (artifact,) = [found for found in offline.records(kept, "artifact") if found["type"] == "model"]
    assert "best" in artifact["aliases"]
    (entry,) = artifact["manifest"]["contents"]
    assert Path(entry["local_path"]).read_bytes() == Path(best.best_model_path).read_bytes()
