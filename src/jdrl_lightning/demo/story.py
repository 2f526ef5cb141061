"""The report's sentences about what was done, from the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jdrl_lightning.demo.formatting import level, spelled

__all__ = ["intervals", "lead", "provenance", "trained"]

LENSES = {
    "mirror": "a mirror lens, whose points out of focus are rings",
    "default": "a lens with a round aperture",
}


def lead(results: Mapping[str, Any]) -> str:
    """What was done, in two sentences."""
    settings = results["settings"]
    lens = LENSES.get(str(settings["camera"]), f"the camera {settings['camera']}")
    return f"A network that restores what is out of focus is fitted to {lens}. {_apart(settings)}"


def _apart(settings: Mapping[str, Any]) -> str:
    if settings["misalignment"] == "none":
        return "In this run the blurry and the sharp image of a pair line up."
    real = ", as on a real focus stack" if settings["misalignment"] == "stack" else ""
    return (
        "The pairs that it learns from do not line up: blurry and sharp image are "
        f"{settings['mean_flow_px']:.1f} px apart on average{real}."
    )


def trained(results: Mapping[str, Any]) -> str:
    """How the rows were trained and where they are measured."""
    settings = results["settings"]
    ways = sum(row["method"] not in ("input", "shipped") for row in results["rows"])
    counts = settings["photographs"]
    return (
        f"The same network ({settings['backbone']}) was trained in {spelled(ways)} ways, {settings['steps']:,} steps "
        f"each, on pairs rendered from {counts['train']} photographs. All images and figures here are of "
        f"{counts['test']} held-out photographs, against the truth: the sharp image exactly in the blurry one's place. "
        f"JDRL has the settings {settings['preset']}."
    )


def intervals(results: Mapping[str, Any]) -> str:
    """How the intervals were made, and what they do not tell."""
    made = results["intervals"]
    return (
        f"{level(results)}s by bootstrap over the {made['count']} {made['over']}, the same draw for every "
        "row. Images differ more than methods do: two rows whose intervals overlap can differ clearly, as the interval "
        "of their difference shows. Images rendered from one photograph resemble each other, so these intervals are "
        "somewhat too narrow."
    )


def provenance(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Whatever the run can be repeated from."""
    settings = results["settings"]
    yield "Command", settings["command"]
    yield "Seed", str(settings["seed"])
    yield "Photographs", ", ".join(f"{number} {part}" for part, number in settings["photographs"].items())
    if settings["overrides"]:
        yield "Overrides", " ".join(map(str, settings["overrides"]))
    yield "Device", str(settings["device"])
    yield "Versions", ", ".join(f"{name} {number}" for name, number in settings["versions"].items())
    yield "Time", f"{results['seconds']:.0f} s in total"
