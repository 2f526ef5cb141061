"""A matplotlib figure as SVG inside a page, in the page's own colours and typeface: no scripts, nothing to load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

__all__ = ["inline_svg"]

NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
LINK = "{http://www.w3.org/1999/xlink}href"


def inline_svg(figure: Figure, name: str, description: str, colours: Mapping[str, str]) -> str:
    """Draw.

    Args:
        figure: its text stays text, in the page's typeface; one unit of the drawing is 1/72 of its inch.
        name: of the figure, another for each figure of a page, so that their markers' ids differ.
        description: what screen readers say.
        colours: the page's colour (any CSS value) for a colour of the figure (``#rrggbb``); others stay as they are.

    Returns:
        An ``<svg>`` element without a size of its own: as wide as its place. The same figure gives the same text.
    """
    buffer = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    root = ElementTree.fromstring(buffer.getvalue())
    used = {element.get(LINK, "").removeprefix("#") for element in root.iter()}
    for element in list(root.iter()):
        element.tag = element.tag.rpartition("}")[2]  # within HTML, svg needs no namespace
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        element.attrib.pop("clip-path", None)  # nothing is drawn outside the axes
        if LINK in element.attrib:
            element.set("href", element.attrib.pop(LINK))
        if "style" in element.attrib:
            element.set("style", _restyled(element.attrib["style"], colours))
        for child in list(element):
            if child.tag.rpartition("}")[2] in ("style", "clipPath"):
                element.remove(child)
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": description}
    return ElementTree.tostring(root, encoding="unicode")


def _restyled(style: str, colours: Mapping[str, str]) -> str:
    style = re.sub(r"font-family: [^;]*;? ?", "", style)
    return re.sub(r"#[0-9a-f]{6}", lambda found: colours.get(found[0], found[0]), style)
