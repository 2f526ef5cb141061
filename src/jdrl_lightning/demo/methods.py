"""Names and descriptions of the rows in the report."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASES", "CEILING", "METHODS", "Method", "css_class", "label", "short"]


class Method(NamedTuple):
    """A row's name, its short form for charts, and its description."""

    label: str
    short: str
    meaning: str


METHODS = {
    "input": Method("Blurry image", "blurry", "The blurry image itself, unchanged. Anything below it did harm."),
    "shipped": Method(
        "As shipped",
        "as shipped",
        "The network that every training here starts from, as it comes with the package. It does not know this lens.",
    ),
    "charbonnier": Method(
        "Pixel-wise",
        "pixel-wise",
        "Fitted with a pixel-wise (Charbonnier) loss to the misaligned pairs as they are.",
    ),
    "prealign": Method(
        "Registered first",
        "registered",
        "Every pair first registered by one affine motion of the whole frame, then fitted pixel by pixel. The obvious "
        "remedy, and so the baseline to beat.",
    ),
    "jdrl": Method(
        "JDRL",
        "JDRL",
        "Fitted to the misaligned pairs as they are. The sharp image is warped onto the restored one by optical flow, "
        "and reblurring the restored image must give the blurry one, which keeps it in place.",
    ),
    "aligned_ceiling": Method(
        "Upper bound",
        "upper bound",
        "Fitted pixel by pixel to pairs that do line up, which only rendering can provide.",
    ),
}
CEILING = "aligned_ceiling"
# What JDRL's and the upper bound's gains are measured from.
BASES = {"input": "the blurry images", "shipped": "the network as shipped", "charbonnier": "pixel-wise training"}


def label(method: str) -> str:
    """A row's name; an unknown name stays as it is."""
    return METHODS[method].label if method in METHODS else method


def short(method: str) -> str:
    """The short form of :func:`label`."""
    return METHODS[method].short if method in METHODS else method


def css_class(method: str) -> str:
    """The class by which the style sheet colours a row."""
    return f"m-{method}" if method in METHODS else "m-other"
