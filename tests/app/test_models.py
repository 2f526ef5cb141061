from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jdrl_lightning import UserError, backbones, build
from jdrl_lightning.app.models import SHIPPED, choices, model
from jdrl_lightning.app.settings import Settings
from jdrl_lightning.io.weights import CHECKPOINT_KEY
from small import BACKBONES


def test_the_shipped_network_runs_and_published_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = backbones.create("compact", **BACKBONES["compact"])
    run = tmp_path / "runs" / "train" / "first"
    (run / "checkpoints").mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch,step,val/gt/psnr\n0,9,20.5\n")
    config = {"backbone": {"name": "compact", **BACKBONES["compact"]}}
    state = {f"backbone.{name}": value for name, value in network.state_dict().items()}
    torch.save({CHECKPOINT_KEY: {"config": config}, "state_dict": state}, run / "checkpoints" / "last.ckpt")
    torch.save({"params": network.network.state_dict()}, tmp_path / "published.pth")
    published = {"name": "compact", **BACKBONES["compact"], "weights": str(tmp_path / "published.pth")}
    settings = Settings(tmp_path / "runs", weights={"compact": published}, device="cpu")

    assert choices(settings) == [
        ("shipped network (compact)", SHIPPED),
        ("train/first · gt/psnr 20.50 dB", "run train/first"),
        ("published.pth (compact)", "weights compact"),
    ]
    blurry = torch.rand(1, 3, 32, 32)
    with torch.inference_mode():
        expected = network.eval()(blurry).images[0]
        for chosen in ("run train/first", "weights compact"):
            torch.testing.assert_close(model(chosen, settings).network(blurry), expected)
        shipped = build.backbone(build.SHIPPED).eval()(blurry).images[0]
        torch.testing.assert_close(model(SHIPPED, settings).network(blurry), shipped)
    assert model(SHIPPED, settings) is model(SHIPPED, settings)
    for unknown in ("run train/other", "run ../elsewhere", "weights nafnet", "", "run"):
        with pytest.raises(UserError, match="no such network"):
            model(unknown, settings)
