from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from jdrl_lightning import backbones, build
from jdrl_lightning.errors import UserError
from jdrl_lightning.testing import assert_is_backbone
from network_checks import train

ENCODERS = {"resnet18": 32, "mobilenetv3_small_050": 32, "convnext_atto": 32, "regnetx_002": 32}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_convolutional_encoders(encoder: str) -> None:
    backbone = backbones.create("timm_unet", encoder=encoder, width=4)
    assert backbone.divisor == ENCODERS[encoder]
    assert_is_backbone(backbone)


def test_it_starts_as_the_identity_and_learns() -> None:
    torch.manual_seed(0)
    backbone = backbones.create("timm_unet", encoder="mobilenetv3_small_050", width=4)
    blurry, sharp = torch.rand(2, 3, 33, 50), torch.rand(2, 3, 33, 50)
    assert torch.equal(backbone.eval()(blurry).images[0], blurry)
    losses = train(backbone.train(), blurry, sharp, steps=8, rate=1e-2)
    assert losses[-1] < 0.9 * losses[0]


def test_the_published_size() -> None:
    with torch.device("meta"):
        backbone = backbones.create("timm_unet")
        encoder = timm.create_model("resnet18", num_classes=0)
    total, inside = (sum(p.numel() for p in part.parameters()) for part in (backbone, encoder))
    assert total == 15_704_771
    decoder, before = 0, 512
    for skip, after in ((256, 256), (128, 256), (64, 128), (64, 64), (3, 32)):
        decoder += 9 * (before + skip) * after + after + 9 * after * after + after
        before = after
    assert total - inside == decoder + 9 * 32 * 3 + 3


def test_the_encoders_input_is_normalised() -> None:
    backbone = backbones.create("timm_unet", encoder="mobilenetv4_conv_small_035", width=4).eval()
    seen: list[torch.Tensor] = []
    backbone.network.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    backbone(torch.full((1, 3, 32, 32), 0.75))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 32, 32), 0.5))  # this encoder's mean and std are one half
    assert not {"mean", "std"} & backbone.network.state_dict().keys()


@pytest.mark.parametrize("encoder", ["resnet18", "convnext_atto"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_encoder_weights_from_the_whole_classifier(encoder: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    classifier = timm.create_model(encoder).eval()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": classifier.state_dict()}, path)
    else:
        save_file(classifier.state_dict(), path)
    torch.manual_seed(2)
    backbone = backbones.create("timm_unet", encoder=encoder, width=4, encoder_weights=str(path)).eval()
    blurry = torch.rand(1, 3, 64, 64)
    _, expected = classifier.forward_intermediates(blurry)  # the same features by timm's own method
    found = backbone.network.encoder(blurry)
    torch.testing.assert_close(found[-1], expected[-1])


def test_a_checkpoint_does_not_need_the_encoders_file(composed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "encoder.pth"
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), path)
    small = ("backbone.encoder=mobilenetv3_small_050", "backbone.width=4", "objective=l1")
    config = composed(tmp_path, "backbone=timm_unet", *small, f"backbone.encoder_weights={path}")
    module = build.module(config).eval()
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, tmp_path / "last.ckpt")
    path.unlink()
    blurry = torch.rand(1, 3, 40, 40)
    assert torch.equal(build.from_checkpoint(tmp_path / "last.ckpt")(blurry), module(blurry))


def test_wrong_encoder_weights_are_named(tmp_path: Path) -> None:
    state: dict[str, Any] = timm.create_model("resnet18").state_dict()
    del state["layer1.0.conv1.weight"]
    state["conv1.weight"] = torch.rand(64, 1, 7, 7)
    path = tmp_path / "encoder.pth"
    torch.save(state, path)
    with pytest.raises(UserError, match=r"encoder\.pth do not fit") as error:
        backbones.create("timm_unet", width=4, encoder_weights=path)
    assert "1 missing: layer1.0.conv1.weight" in str(error.value)
    assert "1 of another shape: conv1.weight (64×1×7×7 in the file" in str(error.value)
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), path)
    with pytest.raises(UserError, match=r"and \d+ more"):
        backbones.create("timm_unet", width=4, encoder_weights=path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="no state dict"):
        backbones.create("timm_unet", width=4, encoder_weights=path)
    with pytest.raises(UserError, match=r"nowhere\.pth do not exist"):
        backbones.create("timm_unet", width=4, encoder_weights=tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        ("banana", "is not a timm model"),
        ("hf-hub:timm/resnet18", "is not a timm model"),
        ("local-dir:somewhere", "is not a timm model"),
        ("vit_tiny_patch16_224", "has no features for images of any size"),
        ("swin_tiny_patch4_window7_224", "has no features for images of any size"),
        ("inception_v4", "has no features for images of any size"),
    ],
)
def test_unsuitable_encoders_are_refused(encoder: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        backbones.create("timm_unet", encoder=encoder)
    assert encoder in str(error.value)
    assert "\n" not in str(error.value)
