"""Networks of six channels: both dual-pixel views in, one picture out; all else sees the blurry picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from spandrel_extra_arches.architectures.Restormer import Restormer as SpandrelRestormer
from torch import Tensor

from jdrl_lightning import UserError, backbones, build
from jdrl_lightning.backbones import Backbone
from jdrl_lightning.backbones.base import combined, input_of
from jdrl_lightning.backbones.restormer import Restormer
from jdrl_lightning.evaluation.method_network import checkpoint
from jdrl_lightning.export import export
from jdrl_lightning.inference import Restorer
from jdrl_lightning.inference.export_formats import Shape
from jdrl_lightning.io.image import write_image
from jdrl_lightning.predict import predict
from jdrl_lightning.types import Pair
from network_checks import assert_equals, randomise
from small import BACKBONES

RESTORMER: dict[str, Any] = {"dim": 8, "num_blocks": [1, 2, 1, 1], "num_refinement_blocks": 1, "heads": [1, 2, 2, 4]}
NETWORKS = ("unet", "dpdnet", "compact", "nafnet", "restormer")


def dual(name: str, **more: Any) -> Backbone:
    torch.manual_seed(0)
    made: Backbone = backbones.create(name, **BACKBONES[name] | more, in_channels=6)
    return made


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(33, 47), (5, 70)])
def test_six_channels_in_three_out(name: str, size: tuple[int, int]) -> None:
    backbone, views = dual(name).train(), torch.rand(2, 6, *size, requires_grad=True)
    randomise(backbone)
    (restored,) = backbone(views).images
    assert restored.shape == (2, 3, *size)
    restored.square().sum().backward()
    assert views.grad is not None
    assert (views.grad.abs().amax((0, 2, 3)) > 0).all()


@pytest.mark.parametrize(("name", "more"), [("unet", {"global_residual": True}), ("compact", {}), ("nafnet", {})])
def test_a_residual_is_added_to_the_mean_of_the_views(name: str, more: dict[str, Any]) -> None:
    left, right = torch.rand(2, 1, 3, 32, 32).unbind()
    backbone = dual(name, **more)
    for parameter in getattr(backbone.network, "ending", torch.nn.Identity()).parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(backbone(torch.cat([left, right], 1)).images[0], (left + right) / 2)
    assert combined(left) is left


def test_each_view_is_turned_to_bgr() -> None:
    rgb, bgr = (dual("unet", color_order=order) for order in ("rgb", "bgr"))
    views = torch.rand(1, 6, 16, 16)
    expected = rgb(views[:, [2, 1, 0, 5, 4, 3]]).images[0].flip(1)
    torch.testing.assert_close(bgr(views).images[0], expected)


def test_published_sizes() -> None:
    with torch.device("meta"):
        counts = [
            sum(p.numel() for p in backbones.create(n, in_channels=6).parameters()) for n in ("dpdnet", "restormer")
        ]
    assert counts == [31_035_151, 26_132_548]


def test_restormer_equals_spandrel() -> None:
    views, weight = torch.rand(2, 6, 24, 40, dtype=torch.float64), torch.rand(2, 3, 24, 40, dtype=torch.float64)
    theirs = SpandrelRestormer(**RESTORMER, inp_channels=6, dual_pixel_task=True).double()
    assert_equals(Restormer(**RESTORMER, in_channels=6).double(), theirs, views, weight)


def test_official_dual_pixel_layout(tmp_path: Path) -> None:
    theirs = SpandrelRestormer(**RESTORMER, inp_channels=6, dual_pixel_task=True)
    randomise(theirs)
    torch.save({"params": theirs.state_dict()}, tmp_path / "dual.pth")
    backbone = backbones.create("restormer", **RESTORMER, in_channels=6).eval()
    assert backbones.load_weights(backbone, tmp_path / "dual.pth").n_tensors == len(theirs.state_dict())
    views = torch.rand(1, 6, 16, 16)
    torch.testing.assert_close(backbone(views).images[0], theirs(views).clamp(0, 1), rtol=0, atol=1e-5)
    with pytest.raises(UserError, match="do not fit backbone 'restormer'"):
        backbones.load_weights(backbones.create("restormer", **RESTORMER), tmp_path / "dual.pth")


def test_what_a_network_is_given_of_a_pair() -> None:
    blurry, left, right = torch.rand(3, 2, 3, 8, 8).unbind()
    pair = Pair(blurry, blurry, ["a", "b"], {"left": left, "right": right})
    assert input_of(pair, backbones.create("unet", width=4)) is blurry
    assert input_of(pair, torch.nn.Identity()) is blurry
    assert torch.equal(input_of(pair, dual("unet")), torch.cat([left, right], 1))
    with pytest.raises(UserError, match=r"^backbone\.in_channels=6 takes the dual-pixel views.* data\.views=true"):
        input_of(pair._replace(extras={}), dual("unet"))


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"backbone\.in_channels=4 is neither 3 nor 6"):
        backbones.create("unet", width=4, in_channels=4)
    with pytest.raises(UserError, match=r"backbone=guided .* set backbone\.of\.in_channels=3"):
        backbones.create("guided", of={"name": "unet", "width": 4, "in_channels": 6})
    backbone = dual("unet")
    for use in (
        lambda: Restorer(backbone),
        lambda: predict(backbone, [], 64, 16),
        lambda: export(backbone, tmp_path, ["pt2"], Shape(1, 32, 32), False),
    ):
        with pytest.raises(
            UserError, match=r"^unet takes both dual-pixel views .* evaluate with data=dpdd data\.views"
        ):
            use()


@pytest.fixture
def dual_pixel_folder(photo: Tensor, tmp_path: Path) -> Path:
    """Two scenes of each split, in DPDD's layout: views that differ, and the blurry image their mean."""
    for split in ("train", "val", "test"):
        for scene in range(2):
            sharp = photo[:, 100 + 50 * scene :, 150:].to(torch.int32)
            left, right = ((sharp + sharp.roll(shift, 2)) // 2 for shift in (-2, 2))
            pictures = {"c/source": (left + right) // 2, "c/target": sharp, "l/source": left, "r/source": right}
            for folder, image in pictures.items():
                (tmp_path / f"{split}_{folder}").mkdir(parents=True, exist_ok=True)
                write_image(tmp_path / f"{split}_{folder}" / f"1P0A000{scene}.png", image[:, :40, 8:56].byte())
    return tmp_path


def test_a_training_with_jdrl_and_its_evaluation(
    dual_pixel_folder: Path, train: Callable[..., Path], tmp_path: Path
) -> None:
    settings = (
        "data=dpdd", "data.views=true", f"data.root={dual_pixel_folder}", "backbone=compact", "backbone.width=4",
        "backbone.in_channels=6", "trainer.max_epochs=2", "objective.warmup_epochs=1", "optim.optimizer.lr=1e-3",
    )  # fmt: skip
    last = train(tmp_path / "run", *settings) / "checkpoints" / "last.ckpt"
    network = build.backbone_from_checkpoint(last)
    assert network.in_channels == 6
    views = torch.rand(1, 6, 40, 48)
    pair = Pair(
        torch.zeros(1, 3, 40, 48), torch.zeros(1, 3, 40, 48), ["a"], {"left": views[:, :3], "right": views[:, 3:]}
    )
    restored = checkpoint({"ckpt_path": str(last), "tile": 32, "overlap": 8}, torch.device("cpu")).restore(pair)
    assert restored.shape == (1, 3, 40, 48)
    with torch.no_grad():
        torch.testing.assert_close(restored[..., :16, :16], network(views).images[0][..., :16, :16], rtol=0, atol=0.05)
