"""What the page calls the rows, and what it says each of them is."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASES", "CEILING", "METHODS", "Method", "css_class", "label", "short"]


class Method(NamedTuple):
    """How the page calls a row: at full length, in a chart, and in a sentence of its own."""

    label: str
    short: str
    meaning: str


METHODS = {
    "input": Method("Blurry image", "blurry", "The blurry image itself, unchanged. What falls below it did harm."),
    "charbonnier": Method(
        "Pixel-wise",
        "pixel-wise",
        "Trained with a pixel-wise (Charbonnier) loss on the misaligned pairs as they are.",
    ),
    "prealign": Method(
        "Registered first",
        "registered",
        "Every pair first registered by one global motion of the whole frame, then trained pixel-wise. The obvious "
        "remedy, and so the baseline that counts.",
    ),
    "jdrl": Method(
        "JDRL",
        "JDRL",
        "Trained on the misaligned pairs as they are; the sharp image is warped onto the restored one by optical flow, "
        "and reblurring the restored image must give back the blurry one, which is meant to keep it in place.",
    ),
    "aligned_ceiling": Method(
        "Aligned ceiling",
        "ceiling",
        "Trained pixel-wise on truly aligned pairs, which only rendering can give: the best any method can hope for.",
    ),
}
CEILING = "aligned_ceiling"
BASES = {"input": "the blurry images", "charbonnier": "pixel-wise training"}  # where a share of a way begins


def label(method: str) -> str:
    """A row's name at full length; a name that is not ours stays as it is."""
    return METHODS[method].label if method in METHODS else method


def short(method: str) -> str:
    """The same where there is little room."""
    return METHODS[method].short if method in METHODS else method


def css_class(method: str) -> str:
    """The class that the style sheet colours a row by."""
    return f"m-{method}" if method in METHODS else "m-other"
