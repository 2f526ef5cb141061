"""The report of prepared focus stacks: one self-contained HTML page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from matplotlib import colormaps
from numpy.typing import NDArray
from torch import Tensor

from jdrl_lightning.io import eight_bit
from jdrl_lightning.io.atomic import atomic_write
from jdrl_lightning.preparation.stack import Stack
from jdrl_lightning.preparation.stack_register import reduced
from jdrl_lightning.types import to_float

__all__ = ["Shown", "pictured", "write_report"]

LARGE_PX, SMALL_PX, CROP_PX = 960, 320, 320
HIDDEN = 0.25  # brightness of what the mask leaves out


class Shown(NamedTuple):
    """What the page shows of a stack: pictures ``(H, W, 3)``, uint8, by caption; and the stack without its tensors."""

    stack: Stack
    size: tuple[int, int]
    reference: int
    large: dict[str, NDArray[np.uint8]]
    frames: list[NDArray[np.uint8]]
    crops: dict[str, NDArray[np.uint8]]


def pictured(stack: Stack, frames: Sequence[Tensor], reference: int) -> Shown:
    """Reduce a stack to what the page shows; ``frames`` as given to :func:`fuse_stack`."""
    share = reduced(stack.focus, LARGE_PX)[0, 0] / (len(frames) - 1)
    depth = (255 * colormaps["cividis"](share.numpy())[..., :3]).round().astype(np.uint8)
    kept = stack.image * (HIDDEN + (1 - HIDDEN) * stack.valid)
    top, left = _sharpest_step(stack.focus)
    place = (..., slice(top, top + CROP_PX), slice(left, left + CROP_PX))
    crops = {stack.frames[n].name: to_float(frames[n])[None] for n in (0, len(frames) - 1)}
    return Shown(
        stack._replace(image=stack.image[..., :0], focus=stack.focus[..., :0], valid=stack.valid[..., :0], flows=[]),
        (frames[0].shape[-1], frames[0].shape[-2]),
        reference,
        {
            "Fused": _pixels(reduced(stack.image, LARGE_PX)),
            "Depth: the frame in focus, from the first (dark) to the last (bright)": depth,
            "Trusted: the losses leave out what is dark": _pixels(reduced(kept, LARGE_PX)),
        },
        [_pixels(reduced(to_float(frame)[None], SMALL_PX)) for frame in frames],
        {title: _pixels(image[place]) for title, image in (crops | {"Fused": stack.image}).items()},
    )


def write_report(path: Path, stacks: Mapping[str, Shown]) -> None:
    """Write the page atomically, without scripts or external resources."""
    page = Template(files("jdrl_lightning.preparation").joinpath("stack_report.html").read_text("utf-8")).substitute(
        stacks="\n".join(section for name, shown in stacks.items() for section in _stack(name, shown))
    )
    with atomic_write(path, "w") as file:
        file.write(page)


def _stack(name: str, shown: Shown) -> Iterable[str]:
    stack = shown.stack
    yield f'<section>\n<h2>{escape(name)}</h2>\n<p class="prose">{escape(_sentence(shown))}</p>'
    yield f'<div class="large">{"".join(_figure(image, title) for title, image in shown.large.items())}</div>'
    yield '<div class="scroll"><table><thead><tr><th>Frame</th><th>Median<span>px</span></th>'
    yield "<th>95th percentile<span>px</span></th><th>Zoom<span>%</span></th><th>Beyond affine<span>px</span></th>"
    yield "<th>In focus<span>% of pixels</span></th><th>Exposure<span>red, green, blue</span></th></tr></thead><tbody>"
    for number, frame in enumerate(stack.frames):
        mark = " <em>reference</em>" if number == shown.reference else ""
        exposure = ", ".join(f"{factor:.3f}" for factor in frame.exposure)
        zoom = f"{frame.zoom_percent:+.2f}".replace("-", "−")
        yield (
            f"<tr><th>{escape(frame.name)}{mark}</th><td>{frame.median_px:.2f}</td><td>{frame.p95_px:.2f}</td>"
            f"<td>{zoom}</td><td>{frame.beyond_px:.2f}</td><td>{100 * frame.in_focus:.1f}</td>"
            f"<td>{exposure if any(factor != 1 for factor in frame.exposure) else 'as it is'}</td></tr>"
        )
    yield '</tbody></table></div>\n<h3>Where the depth changes most, pixel for pixel</h3>\n<div class="small">'
    yield "".join(_figure(image, title) for title, image in shown.crops.items())
    yield '</div>\n<h3>The frames</h3>\n<div class="small">'
    named = zip(shown.frames, stack.frames, strict=True)
    yield "".join(_figure(image, f"{f.name}: {100 * f.in_focus:.0f} % in focus") for image, f in named)
    yield "</div>\n</section>"


def _sentence(shown: Shown) -> str:
    stack, (width, height) = shown.stack, shown.size
    covered, moved, blurred = (f"{100 * share:.1f}\N{NO-BREAK SPACE}%" for share in stack[-3:])
    return (
        f"{len(stack.frames)} frames of {width}×{height} pixels, fused in the geometry of "
        f"{stack.frames[shown.reference].name}. All frames show {covered} of it. In {moved} two neighbours differ by "
        f"more than blur, as where something moved or a highlight wanders; {blurred} are sharp in no frame. What not "
        "all frames show, and these parts, are masked."
    )


def _sharpest_step(index: Tensor) -> tuple[int, int]:
    """Top left of the crop with the largest spread of depth that is well inside."""
    height, width = index.shape[-2:]
    side = min(CROP_PX, height, width)
    spread = F.avg_pool2d(index.square(), side, 16) - F.avg_pool2d(index, side, 16).square()
    row, column = divmod(int(spread.flatten().argmax()), spread.shape[-1])
    return 16 * row, 16 * column


def _figure(image: NDArray[np.uint8], title: str) -> str:
    data = base64.b64encode(eight_bit.encode_jpeg(image, None, None)).decode("ascii")
    height, width = image.shape[:2]
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" width="{width}" height="{height}" alt="{escape(title)}">'
        f"<figcaption>{escape(title)}</figcaption></figure>"
    )


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = (255 * image[0].clamp(0, 1)).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(pixels)
