"""A deblurring network made ready to restore: its final output, memory layout, precision, compilation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from jdrl_lightning.backbones.base import Backbone
from jdrl_lightning.errors import UserError
from jdrl_lightning.runtime.compile import compiled
from jdrl_lightning.types import Restored

__all__ = ["PRECISIONS", "blur_radius", "check_takes_pictures", "final_output", "ready"]

PRECISIONS = ("32-true", "bf16-mixed")  # Lightning's names


class _FinalOutput(nn.Module):
    def __init__(self, backbone: Callable[[Tensor], Restored]) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, blurry: Tensor) -> Tensor:
        return self.backbone(blurry).images[0]


def check_takes_pictures(backbone: Backbone) -> None:
    """Refuse a network that no single picture can be given to.

    Raises:
        UserError: it takes both dual-pixel views.
    """
    if backbone.in_channels != 3:
        raise UserError(
            f"{backbone.name} takes both dual-pixel views (in_channels={backbone.in_channels}), here are single "
            "pictures: measure it by evaluate with data=dpdd data.views=true"
        )


def final_output(backbone: Callable[[Tensor], Restored]) -> nn.Module:
    """``backbone`` without its side outputs: RGB in [0, 1] to the restored image, ``(B, 3, H, W)``.

    The module holds ``backbone`` itself, so mode, device and weights are shared.
    """
    return _FinalOutput(backbone)


def blur_radius(backbone: Backbone) -> Callable[[Tensor], Tensor]:
    """The function that predicts how blurred each pixel is, with a network that does.

    Returns:
        ``(B, 3, H, W)`` RGB in [0, 1] to the circle of confusion's radius, px, in each of three equal channels: of the
        shape that tiles are blended in.

    Raises:
        UserError: when called, if the network predicts no such map.
    """

    def radius(blurry: Tensor) -> Tensor:
        aux = backbone(blurry).aux
        if "coc" not in aux:
            does = "backbone.channels=1" if "map" in aux else "backbone=compact"  # map: a guide of more channels
            raise UserError(f"{backbone.name} predicts no blur map; {does} does")
        return aux["coc"][..., : blurry.shape[-2], : blurry.shape[-1]].expand(-1, 3, -1, -1)

    return radius


def ready(backbone: Backbone, precision: str = "32-true", compile: bool = False) -> Callable[[Tensor], Tensor]:
    """The function that restores with ``backbone``, which is put into eval mode and channels last.

    That layout makes convolutions faster, on CPUs too, and takes less memory; results are equal up to float32 rounding.

    Args:
        backbone: on the device it computes on.
        precision: ``32-true``, or ``bf16-mixed``: autocast to bfloat16, three significant digits, half the memory.
        compile: by ``torch.compile``, at the first call for each size; needs a C++ compiler, on CUDA also Triton.

    Returns:
        ``(B, in_channels, H, W)`` RGB in [0, 1] to the final output, ``(B, 3, H, W)``.

    Raises:
        UserError: unknown precision; or, when called, compilation fails.
    """
    if precision not in PRECISIONS:
        raise UserError(f"precision={precision!r} is neither {' nor '.join(PRECISIONS)}")
    backbone.eval().to(memory_format=torch.channels_last)
    network = final_output(compiled(backbone) if compile else backbone)

    def restore(blurry: Tensor) -> Tensor:
        with torch.autocast(blurry.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            restored: Tensor = network(blurry)
            return restored

    return restore
