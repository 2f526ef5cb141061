"""The slider at the top: two pictures of a frame in one place, divided where the reader drags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.pictures import img, psnr, title

__all__ = ["FIRST", "slider"]

FIRST = ("blurry", "jdrl")  # left and right when the page opens


def slider(examples: Sequence[Example]) -> str:
    """A typical example, before and after: without scripts side by side, with them any two pictures of any."""
    if not examples:
        return ""
    first = _typical(examples)
    pictures = examples[first].pictures
    shown = "\n".join(
        f'<figure class="{side}">{img(pictures[key], f"{title(key)}, whole frame")}'
        f"<figcaption>{escape(title(key))}</figcaption></figure>"
        for side, key in zip(("left", "right"), FIRST, strict=True)
    )
    frames = _options([(str(number), f"Example {number}") for number in range(1, len(examples) + 1)], str(first + 1))
    choices = [(key, title(key)) for key in pictures]
    return (
        f'<div class="slider">\n<div class="stage">\n{shown}\n'
        '<input class="divider" type="range" min="0" max="100" value="50" '
        'aria-label="Divider between the left and the right picture, in percent of the width"></div>\n'
        '<div class="choices">'
        f'<label>Left <select data-side="left">{_options(choices, FIRST[0])}</select></label> '
        f'<label>Right <select data-side="right">{_options(choices, FIRST[1])}</select></label> '
        f'<label>Frame <select data-side="frame">{frames}</select></label></div>\n'
        '<p class="note"><span class="with-script">Drag the line, or use the arrow keys.</span> '
        "A typical frame: of those below, the one where JDRL's gain is nearest to their mean.</p></div>"
    )


def _typical(examples: Sequence[Example]) -> int:
    """Where JDRL's gain over the blurry image is nearest to the mean of all."""
    before, after = (
        np.array([psnr(example.pictures[key], example.pictures["truth"]) for example in examples]) for key in FIRST
    )
    return int(np.argmin(np.abs(after - before - (after - before).mean())))


def _options(choices: Iterable[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(name)}</option>'
        for value, name in choices
    )
