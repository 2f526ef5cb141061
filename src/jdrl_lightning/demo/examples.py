"""What the report shows of a few test frames: the pictures of every row, how blurred they are, and what has moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jdrl_lightning.flow.gauss_newton import GaussNewton
from jdrl_lightning.flow.warp import magnitude
from jdrl_lightning.types import Pair, Restored

__all__ = ["EXAMPLES", "MISALIGNED", "Example", "examples"]

EXAMPLES = 4
MISALIGNED = (
    "charbonnier",
    "prealign",
    "jdrl",
)  # the rows whose pairs do not line up, and which may move what they show


class Example(NamedTuple):
    """A whole test frame.

    Attributes:
        pictures: ``(H, W, 3)`` by key: ``blurry``, ``sharp as given``, each row with weights, ``truth``.
        radii: the blur's radius ``(H, W)``, px: ``truth``, and ``predicted`` if the network predicts it.
        shifts: how far what each row shows at a pixel has come from its place, ``(2, H, W)``, px (dx, dy).
        apart_px: how far the sharp picture as given is off, px, averaged over the frame.
    """

    pictures: Mapping[str, NDArray[np.uint8]]
    radii: Mapping[str, NDArray[np.float32]]
    shifts: Mapping[str, NDArray[np.float32]]
    apart_px: float


@torch.no_grad()
def examples(
    pairs: Sequence[Pair], restored: Mapping[str, Sequence[Tensor]], network: Callable[[Tensor], Restored]
) -> list[Example]:
    """Up to ``EXAMPLES`` frames, spread evenly over the set.

    Args:
        pairs: of the whole set, batches of one, with their truth.
        restored: by row, the picture ``(3, H, W)`` of each pair.
        network: the one whose prediction of the blur is shown.
    """
    shown = []
    for index in np.linspace(0, len(pairs) - 1, min(EXAMPLES, len(pairs))).round().astype(int):
        pair = pairs[index]
        truth = pair.extras["aligned"]
        images = {name: each[index] for name, each in restored.items()}
        pictures = {"blurry": pair.blurry[0], "sharp as given": pair.sharp[0], **images, "truth": truth[0]}
        radii = {"truth": pair.extras["coc"]}
        if (predicted := network(pair.blurry).aux.get("coc")) is not None:
            radii = {"predicted": predicted[..., : truth.shape[-2], : truth.shape[-1]]} | radii
        shown.append(
            Example(
                {key: _pixels(picture) for key, picture in pictures.items()},
                {key: radius[0, 0].float().cpu().numpy() for key, radius in radii.items()},
                {name: _shift(images[name][None], truth) for name in MISALIGNED if name in images},
                float(magnitude(pair.extras["flow"]).mean()),
            )
        )
    return shown


def _shift(image: Tensor, truth: Tensor) -> NDArray[np.float32]:
    """Displacement of ``image`` against ``truth``, ``(2, H, W)``: the reverse of the flow from the one to the other."""
    estimate = GaussNewton()
    flow = estimate(image, truth)
    return -estimate(image, truth, flow)[0].cpu().numpy()  # again from near by, in a narrower window


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    return (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
