"""Pictures of one size in one place: under a slider, side by side or blinking, zoomed together, a map over them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from torch import Tensor

from jdrl_lightning.io import png
from jdrl_lightning.types import to_float, to_uint

__all__ = ["Shown", "address", "script", "show", "viewer"]

VIEWS = (("slider", "Slider"), ("beside", "Side by side"), ("blink", "Blink"))
TOOLS = (
    ("out", "Zoom out", "−"),
    ("in", "Zoom in", "+"),
    ("whole", "Whole picture", "Whole"),
    ("actual", "A pixel of the picture for each of the screen", "1:1"),
)


class Shown(NamedTuple):
    """A picture as the page has it: what it is called, and its address."""

    title: str
    address: str
    blended: bool = False  # over the first picture, as strong as the page's strength


def show(pixels: Tensor, file: Path, icc: bytes | None = None) -> str:
    """Write ``pixels`` ``(3, H, W)``, 8 or 16 bits or float in [0, 1], as an 8-bit PNG; its address on the page."""
    eight = pixels if pixels.element_size() == 1 else to_uint(to_float(pixels))
    file.write_bytes(png.encode(eight.permute(1, 2, 0).numpy(), icc))
    return address(file)


def address(file: Path) -> str:
    """Where the browser finds a file of the page's temporary folder."""
    return f"/gradio_api/file={quote(str(file))}"


def viewer(
    pictures: Mapping[str, Shown],
    sides: tuple[str, str],
    view: str = "slider",
    map: Shown | None = None,
    note: str = "",
) -> str:
    """The element; the script gives it life.

    Args:
        pictures: by key; all of one size.
        sides: keys of those shown at first, left and right.
        view: one of ``VIEWS``, shown at first.
        map: to lay over them.
        note: HTML below.
    """
    first = next(iter(pictures.values()))
    stage = "\n".join(
        f'<figure class="{side}"><div class="view"><div class="layers"><img class="base" src="{escape(first.address)}" '
        f'alt="" draggable="false">{_img(pictures[key])}{_map(map)}</div></div>'
        f"<figcaption>{escape(pictures[key].title)}</figcaption></figure>"
        for side, key in zip(("left", "right"), sides, strict=True)
    )
    choices = "".join(
        f'<label>{side.capitalize()} <select data-side="{side}">{_options(pictures, key)}</select></label> '
        for side, key in zip(("left", "right"), sides, strict=True)
    )
    views = "".join(f'<option value="{v}"{" selected" if v == view else ""}>{name}</option>' for v, name in VIEWS)
    over = '<label>Blur map <input type="range" data-map min="0" max="100" value="50"></label>' if map else ""
    tools = "".join(
        f'<button type="button" data-zoom="{action}" aria-label="{name}" title="{name}">{sign}</button>'
        for action, name, sign in TOOLS
    )
    return (
        f'<div class="viewer" data-shown="{view}"><div class="choices">{choices}<label>View <select data-view>{views}'
        f'</select></label>{over}<span class="tools">{tools}<output aria-live="off">1×</output></span></div>\n'
        f'<div class="stage together" role="group" aria-label="Pictures: + and - zoom, 0 whole, 1 actual pixels, arrow '
        f'keys move">{stage}<input class="divider" type="range" min="0" max="100" value="50" step="1" '
        f'aria-label="Divider between the left and the right picture, in percent of the width"></div>{note}</div>'
    )


def script() -> str:
    """What Gradio runs once for the element that holds the viewer, with that as ``element``."""
    names = (("demo", "zoom.js"), ("app", "viewer.js"))
    return "".join(files(f"jdrl_lightning.{folder}").joinpath(name).read_text("utf-8") for folder, name in names)


def _img(shown: Shown) -> str:
    kind = "top blended" if shown.blended else "top"
    return f'<img class="{kind}" src="{escape(shown.address)}" alt="{escape(shown.title)}" draggable="false">'


def _map(shown: Shown | None) -> str:
    return (
        f'<img class="map" src="{escape(shown.address)}" alt="{escape(shown.title)}" draggable="false">'
        if shown
        else ""
    )


def _options(pictures: Mapping[str, Shown], chosen: str) -> str:
    return "".join(
        f'<option value="{escape(key)}" data-address="{escape(one.address)}"{" data-blended" if one.blended else ""}'
        f"{' selected' if key == chosen else ''}>{escape(one.title)}</option>"
        for key, one in pictures.items()
    )
