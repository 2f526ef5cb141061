"""A network's final output, and the network made ready: the same image, in another layout or precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from jdrl_lightning import Restored, UserError, backbones
from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.inference import final_output, ready
from jdrl_lightning.inference.network import blur_radius
from small import BACKBONES


class Three(nn.Module):
    """Outputs of MPRNet's kind, the final one first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, blurry: Tensor) -> tuple[Tensor, ...]:
        return self.conv(blurry), blurry, 0 * blurry


def test_only_the_final_output_is_left() -> None:
    backbone = Backbone(Three(), divisor=8, licence="", name="three")
    final, blurry = final_output(backbone), torch.rand(2, 3, 13, 17)
    assert torch.equal(final(blurry), backbone.network.conv(blurry))
    with torch.no_grad():
        backbone.network.conv.bias += 0.5
    assert torch.equal(final(blurry), backbone.network.conv(blurry)), "a copy of the weights"
    assert backbone.training
    final.eval()
    assert not backbone.training


def test_a_function_has_a_final_output_too() -> None:
    blurry = torch.rand(1, 3, 4, 4)
    assert final_output(lambda image: Restored((image, 0 * image), {}))(blurry) is blurry


def test_a_network_made_ready_restores_the_same() -> None:
    torch.manual_seed(0)
    backbone, blurry = backbones.create("unet", width=4).eval(), torch.rand(1, 3, 33, 45)
    with torch.no_grad():
        expected = backbone(blurry).images[0]
        torch.testing.assert_close(ready(backbone.train())(blurry), expected, atol=1e-6, rtol=0)
        coarse = ready(backbone, "bf16-mixed")(blurry)
    assert not backbone.training
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in backbone.parameters() if p.ndim == 4)
    assert 0 < (coarse - expected).abs().max() < 0.02
    with pytest.raises(UserError, match="precision='16' is neither 32-true nor bf16-mixed"):
        ready(backbone, "16")


@pytest.mark.parametrize(("name", "settings", "does"), [
    ("unet", {}, "backbone=compact does"), ("guided", {"channels": 2}, "backbone.channels=1 does"),
])  # fmt: skip
def test_without_a_blur_map_the_remedy_is_the_networks(name: str, settings: dict[str, int], does: str) -> None:
    backbone = backbones.create(name, **BACKBONES[name], **settings)
    with torch.no_grad(), pytest.raises(UserError) as error:
        blur_radius(backbone)(torch.rand(1, 3, 16, 16))
    assert str(error.value) == f"{backbone.name} predicts no blur map; {does}"
