"""The slider at the top: two pictures of a frame in one place, divided where the reader drags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from jdrl_lightning.demo.examples import Example
from jdrl_lightning.demo.pictures import img, title

__all__ = ["FIRST", "slider"]

FIRST = ("blurry", "jdrl")  # left and right when the page opens


def slider(examples: Sequence[Example]) -> str:
    """The most blurred example, before and after: without scripts side by side, with them any two pictures of any."""
    if not examples:
        return ""
    first = int(np.argmax([example.radii["truth"].mean() for example in examples]))
    pictures = examples[first].pictures
    left, right = (key if key in pictures else next(iter(pictures)) for key in FIRST)
    shown = "\n".join(
        f'<figure class="{side}">{img(pictures[key], f"{title(key)}, whole frame")}'
        f"<figcaption>{escape(title(key))}</figcaption></figure>"
        for side, key in (("left", left), ("right", right))
    )
    frames = _options([(str(number), f"Example {number}") for number in range(1, len(examples) + 1)], str(first + 1))
    choices = [(key, title(key)) for key in pictures]
    return (
        f'<div class="slider">\n<div class="stage">\n{shown}\n'
        '<input class="divider" type="range" min="0" max="100" value="50" '
        'aria-label="Divider between the left and the right picture, in percent of the width"></div>\n'
        '<div class="choices">'
        f'<label>Left <select data-side="left">{_options(choices, left)}</select></label> '
        f'<label>Right <select data-side="right">{_options(choices, right)}</select></label> '
        f'<label>Frame <select data-side="frame">{frames}</select></label></div>\n'
        '<p class="note"><span class="with-script">Drag the line, or use the arrow keys.</span> '
        "The frame is the most blurred of those below.</p></div>"
    )


def _options(choices: Iterable[tuple[str, str]], chosen: str) -> str:
    return "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(name)}</option>'
        for value, name in choices
    )
