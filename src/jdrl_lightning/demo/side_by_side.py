"""The examples: every row of a frame side by side, and its maps, in frames that zoom together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from jdrl_lightning.demo import maps
from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.methods import label
from jdrl_lightning.demo.pictures import fidelity, img, tile, title

__all__ = ["side_by_side"]

RADII = {"predicted": "Predicted (JDRL)", "truth": "Truth"}
TOOLS = (("out", "Zoom out", "−"), ("in", "Zoom in", "+"), ("whole", "Whole frame", "Whole frame"))


def side_by_side(examples: Sequence[Example]) -> str:
    """Every example, their maps on the same two scales."""
    radius = maps.largest(each for example in examples for each in example.radii.values())
    shift = maps.largest(_length(each) for example in examples for each in example.shifts.values())
    return "\n".join(_example(number, example, radius, shift) for number, example in enumerate(examples, 1))


def _example(number: int, example: Example, radius_px: float, shift_px: float) -> str:
    tools = "".join(
        f'<button type="button" data-zoom="{action}" aria-label="{name}, example {number}">{sign}</button>'
        for action, name, sign in TOOLS
    )
    rows = "\n".join(_pictures(number, example))
    blur, moved = ("\n".join(tiles(number, example, end)) for tiles, end in ((_radii, radius_px), (_shifts, shift_px)))
    return (
        f'<div class="example" data-example="{number}">'
        f'<div class="bar-of-tools"><h3 id="example-{number}">Example {number}</h3>'
        f'<div class="tools">{tools}<output aria-live="polite">1×</output></div></div>\n'
        f'<div class="together" role="group" aria-labelledby="example-{number}" aria-describedby="zooming">\n'
        f'<div class="tiles">\n{rows}\n</div>\n<div class="maps">\n'
        + _group("How blurred it is", blur, maps.scale(radius_px, maps.BLUR, "Radius of the blur"))
        + _group("What has moved", moved, maps.scale(shift_px, maps.SHIFT, "Distance from its place"))
        + "</div>\n</div></div>"
    )


def _pictures(number: int, example: Example) -> Iterator[str]:
    for key, picture in example.pictures.items():
        note = fidelity(key, example.pictures)
        if key == "sharp as given":
            note = f"{example.apart_px:.1f} px off on average"
        shown = img(picture, f"{title(key)}, example {number}", f'data-key="{escape(key)}"')
        yield tile(key, title(key), note, shown)


def _radii(number: int, example: Example, end: float) -> Iterator[str]:
    truth = example.radii.get("truth")
    for key, radius in example.radii.items():
        note = f"{radius.mean():.1f} px on average"
        if key == "predicted" and truth is not None:
            note += f", off by {np.abs(radius - truth).mean():.1f} px"
        shown = img(maps.colours(radius, end, maps.BLUR), f"Blur, {RADII[key].lower()}, example {number}: {note}")
        yield tile("jdrl" if key == "predicted" else key, RADII[key], note, shown)


def _shifts(number: int, example: Example, end: float) -> Iterator[str]:
    for key, shift in example.shifts.items():
        length = _length(shift)
        note = f"{length.mean():.2f} px on average"
        shown = img(maps.colours(length, end, maps.SHIFT), f"What {label(key)} has moved, example {number}: {note}")
        yield tile(key, label(key), note, shown + maps.needles(shift))


def _group(heading: str, tiles: str, legend: str) -> str:
    return f'<div><h4>{heading}</h4>\n<div class="tiles">\n{tiles}\n</div>\n{legend}</div>\n' if tiles else ""


def _length(shift: NDArray[np.float32]) -> NDArray[np.float32]:
    length: NDArray[np.float32] = np.hypot(*shift)
    return length
