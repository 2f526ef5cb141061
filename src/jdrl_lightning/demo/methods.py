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
    "charbonnier": Method(
        "Pixel-wise",
        "pixel-wise",
        "Trained with a pixel-wise (Charbonnier) loss on the misaligned pairs as they are.",
    ),
    "prealign": Method(
        "Registered first",
        "registered",
        "Every pair first registered by one global motion of the whole frame, then trained pixel-wise. The obvious "
        "remedy, and so the baseline to beat.",
    ),
    "jdrl": Method(
        "JDRL",
        "JDRL",
        "Trained on the misaligned pairs as they are; the sharp image is warped onto the restored one by optical flow, "
        "and reblurring the restored image must reproduce the blurry one, which keeps it in place.",
    ),
    "aligned_ceiling": Method(
        "Aligned ceiling",
        "ceiling",
        "Trained pixel-wise on truly aligned pairs, which only rendering can provide: the upper bound of every method.",
    ),
}
CEILING = "aligned_ceiling"
# What the upper bound's gain is measured from.
BASES = {"input": "the blurry images", "charbonnier": "pixel-wise training"}


def label(method: str) -> str:
    """A row's name; an unknown name stays as it is."""
    return METHODS[method].label if method in METHODS else method


def short(method: str) -> str:
    """The short form of :func:`label`."""
    return METHODS[method].short if method in METHODS else method


def css_class(method: str) -> str:
    """The class by which the style sheet colours a row."""
    return f"m-{method}" if method in METHODS else "m-other"
