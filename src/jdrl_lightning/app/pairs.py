"""One's own pairs before a training: which there are, one of them looked at closely, a verdict on all."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jdrl_lightning import build, data, flow
from jdrl_lightning.app.restore import map_colours, scale
from jdrl_lightning.app.viewer import Shown, show, viewer
from jdrl_lightning.data.pair_folders import own_splits, split_folder
from jdrl_lightning.diagnosis import pairs as diagnosis
from jdrl_lightning.errors import UserError
from jdrl_lightning.flow.color import flow_to_rgb
from jdrl_lightning.flow.warp import magnitude, warp
from jdrl_lightning.metrics.misalignment import Summary, evenly_spaced, motion, summary
from jdrl_lightning.types import to_float

__all__ = ["command", "folders", "look", "opened", "splits", "verdict", "words"]

LOOKED_AT = 16  # pairs
SETTINGS = {  # of the training that a verdict recommends; for the others something is to be done first
    "aligned": ("objective=charbonnier",),
    "affine": ("data.register=affine", "objective=charbonnier"),
    "misaligned": ("objective=jdrl_robust",),
}


def folders(root: Path) -> dict[str, Path]:
    """``root`` and the folders directly in it, those that have pairs, by name; links are skipped."""
    inside = sorted(place for place in root.iterdir() if place.is_dir() and not place.is_symlink())
    return {place.name or str(place): place for place in (root, *inside) if splits(place)}


def opened(folder: Path, split: str) -> Any:
    """The data set of a split.

    Raises:
        UserError: there is none, or its files do not make pairs.
    """
    if split not in splits(folder):
        raise UserError(f"{folder}: has no pairs for {split}")
    return data.create("folder", root=str(folder), split=split, seed=0, crop=None)


def splits(folder: Path) -> list[str]:
    """The splits that have pairs."""
    found = []
    for split in own_splits(folder):
        try:
            split_folder(folder, split)
        except UserError:
            continue
        found.append(split)
    return found


def look(folder: Path, split: str, number: int, place: Path, device: str) -> str:
    """The viewer with a pair: both pictures, the sharp one warped onto the other, the flow and its length.

    Args:
        number: of the pair in the split.
        place: folder for the pictures.

    Raises:
        UserError: the pair cannot be read.
    """
    pair = opened(folder, split)[number]
    on = build.device(device)
    blurry, sharp = (to_float(image.to(on))[None] for image in (pair.blurry, pair.sharp))
    with torch.inference_mode():
        moved = flow.create("gauss_newton")(blurry, sharp)
        warped, length = warp(sharp, moved)[0].cpu(), magnitude(moved)[0, 0].cpu()
        colours = flow_to_rgb(moved)[0].cpu()
    end = max(1.0, float(length.max()))
    pixels = {
        "blurry": ("Blurry", pair.blurry.cpu()),
        "sharp": ("Sharp", pair.sharp.cpu()),
        "warped": ("Sharp, warped onto blurry", warped.clamp(0, 1)),
        "flow": ("Flow: colour is direction", colours),
        "length": ("Displacement", map_colours(length, end)),
    }
    pictures = {
        key: Shown(title, show(one, place / f"pair_{number}_{key}.png")) for key, (title, one) in pixels.items()
    }
    note = scale("Displacement", end) + (
        f'<p class="note">{escape(str(pair.name))}: median {np.median(length):.2f} px, 95th percentile '
        f"{np.quantile(length, 0.95):.2f} px (gauss_newton). The key b blinks by hand.</p>"
    )
    return viewer(pictures, ("blurry", "sharp"), "blink", note=note)


def verdict(folder: Path, split: str, device: str, report: Callable[[int, int], None]) -> Summary:
    """What doctor measures, on up to ``LOOKED_AT`` pairs.

    Args:
        report: called with (pairs done, all); what it raises ends the measurement.

    Raises:
        UserError: a pair cannot be read.
    """
    pairs, estimator, on = opened(folder, split), flow.create("gauss_newton"), build.device(device)
    chosen = evenly_spaced(len(pairs), LOOKED_AT)
    found = []
    for done, index in enumerate(chosen):
        report(done, len(chosen))
        found.append(motion(pairs[index], estimator, on))
    return summary(found)


def command(folder: Path, found: Summary) -> str:
    """What to type: the training that the verdict recommends, or doctor, if something is to be done first."""
    settings = SETTINGS.get(diagnosis.verdict(found))
    given = ["data=folder", f"data.root={folder}"]
    module = "doctor" if settings is None else "train"
    return shlex.join(["python", "-m", f"jdrl_lightning.{module}", *given, *(settings or ())])


def words(found: Summary) -> str:
    """The verdict and its figures, as HTML."""
    rows = (
        ("pairs looked at", f"{found.pairs}"),
        ("displacement, median", f"{found.median_px:.2f} px"),
        ("displacement, 95th percentile", f"{found.p95_px:.2f} px"),
        ("the same beyond each pair's affine map", f"{found.rest_p95_px:.2f} px"),
        ("largest shift", f"{found.shift_px:.2f} px"),
        ("seem to show different scenes", ", ".join(found.unlike[:5]) or "none"),
    )
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    text = escape(diagnosis.recommendation(found))
    return f'<p class="line" role="status">{text}</p><div class="figures"><table><tbody>{body}</tbody></table></div>'
